package real

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pageLimit bounds the wait for what a page is to show, while others use the machine as well.
const pageLimit = 90 * time.Second

// The browser's window: wide enough for Airflow to name its tabs.
const windowWidth, windowHeight = 1280, 700

// largestPicture keeps the README light.
const largestPicture = 120_000

// browser is a Chromium without a window, with one page open. It reaches Airflow and nothing else.
type browser struct {
	*recorder
	ctx    context.Context
	url    string
	hidden *secretSet // what no page may show
}

func startBrowser(t *testing.T, airflow string, secrets *secretSet) *browser {
	t.Helper()
	install, err := exec.CommandContext(t.Context(), "peers/install-chromium.sh").CombinedOutput()
	if err != nil {
		t.Fatalf("install chromium: %v\n%s", err, install)
	}
	b := &browser{recorder: startRecorder(t, airflow), url: airflow, hidden: secrets}
	parent, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromiumOptions(t.TempDir(), b.URL)...)
	b.ctx, _ = chromedp.NewContext(parent)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
		defer cancel()
		_ = chromedp.Cancel(ctx)
		stop()
	})
	must(t, chromedp.Do(b.ctx, chromedp.EmulateViewport(windowWidth, windowHeight)))
	return b
}

// chromiumOptions start Chromium as root, with a profile of its own, and with every call going through proxy.
func chromiumOptions(dir, proxy string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.WindowSize(windowWidth, windowHeight),
		chromedp.ProxyServer(proxy), chromedp.Flag("proxy-bypass-list", "<-loopback>"), // loopback too
		chromedp.NoInheritEnv, chromedp.Env("PATH="+os.Getenv("PATH"), "HOME="+dir, "TZ=UTC", "LANG=C.UTF-8"),
		chromedp.Flag("lang", "en-US"), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
}

// do runs one action with a deadline; a failure logs what the page shows.
func do[T any](t *testing.T, b *browser, what string, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageLimit)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
		defer cancel()
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		t.Fatalf("%s: %v; the page is %.3000s", what, err, text)
	}
	return value
}

// wait waits until a JavaScript expression is true, on whatever page Airflow leads to meanwhile.
func (b *browser) wait(t *testing.T, what, expression string) {
	t.Helper()
	do(t, b, "wait for "+what, func(ctx context.Context, page *chromedp.Target) (bool, error) {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			done, err := chromedp.Evaluate[bool](expression)(ctx, page)
			if done {
				return true, nil
			}
			select {
			case <-ctx.Done():
				return false, errors.Join(ctx.Err(), err)
			case <-tick.C:
			}
		}
	})
}

// click clicks the first element that an XPath finds, once it is visible and enabled: while a form still loads, Airflow
// shows its button and ignores clicks.
func (b *browser) click(t *testing.T, xpath string) {
	t.Helper()
	do(t, b, "click "+xpath, chromedp.Click(xpath+"[not(@disabled)]"))
}

// fill types into a field.
func (b *browser) fill(t *testing.T, name, value string) {
	t.Helper()
	do(t, b, "fill in "+name, chromedp.SendKeys(fmt.Sprintf(`//input[@name=%q]`, name), value))
}

// open loads a page anew and waits until it shows all words.
func (b *browser) open(t *testing.T, path string, words ...string) {
	t.Helper()
	do(t, b, "open "+path, chromedp.Navigate(b.url+path))
	b.wantWords(t, path, words...)
}

// wantWords waits until a page shows all words. Case and white space, which marks lines and the colours of code, do not
// count.
func (b *browser) wantWords(t *testing.T, page string, words ...string) {
	t.Helper()
	b.wait(t, fmt.Sprintf("%q on page %s", words, page), fmt.Sprintf(`(squeeze =>
		%s.every(word => squeeze(document.body.innerText).includes(squeeze(word)))
	)(text => text.replace(/\s+/g, "").toLowerCase())`, asJSON(append([]string{}, words...))))
}

// everything is all that a page holds: its HTML, its text without any break, and what stands in its fields.
const everything = `[
	document.documentElement.outerHTML,
	document.body.textContent.replace(/\s+/g, ""),
	...[...document.querySelectorAll("input, textarea")].map(field => field.value),
].join("\n")`

// complaints are the errors that a page shows.
const complaints = `[
	...document.querySelectorAll("[data-status=error], [data-type=error], [aria-label*='warnings/errors']"),
].map(e => e.innerText || e.ariaLabel).concat(
	document.body.innerText.match(/.*(Import Error|Page Not Found|Something went wrong|Unexpected).*/g) ?? [],
).join("\n")`

// look searches the open page for pieces of secrets and for errors.
func (b *browser) look(t *testing.T, page string) {
	t.Helper()
	reportPiece(t, "page "+page, do(t, b, "read "+page, chromedp.Evaluate[string](everything)), b.hidden.pieces())
	if shown := do(t, b, "read "+page, chromedp.Evaluate[string](complaints)); shown != "" {
		t.Errorf("page %s shows an error: %s", page, shown)
	}
}

// visit opens a page and looks at it.
func (b *browser) visit(t *testing.T, path string, words ...string) {
	t.Helper()
	b.open(t, path, words...)
	b.look(t, path)
}

// settled is when nothing on the page moves: nothing is loading, and no message fades.
const settled = `[
	...document.querySelectorAll("[role=progressbar], [class*=skeleton], [data-scope=toast][data-part=root]"),
	...document.getAnimations().filter(a => a.playState == "running").map(a => a.effect.target),
].every(e => !e.checkVisibility({visibilityProperty: true}))`

// ownPath matches a path of the machine that runs the tests.
var ownPath = regexp.MustCompile(`/(tmp|root|home)/\S+`)

// picture saves what an XPath finds on the page, if pictures are asked for: PICTURES names the folder.
func (b *browser) picture(t *testing.T, name, xpath string) {
	t.Helper()
	if path := ownPath.FindString(do(t, b, "read "+name, chromedp.Text(xpath))); path != "" {
		t.Errorf("%s shows %s", name, path)
	}
	folder := os.Getenv("PICTURES")
	if folder == "" {
		return
	}
	b.wait(t, "a still page", settled)
	shot := do(t, b, "take "+name, chromedp.Screenshot(xpath))
	if len(shot) > largestPicture {
		t.Errorf("%s has %d bytes, more than %d", name, len(shot), largestPicture)
	}
	must(t, os.WriteFile(filepath.Join(folder, name), shot, 0o644))
}

// resize sets the height of the window.
func (b *browser) resize(t *testing.T, height int64) {
	t.Helper()
	do(t, b, "resize the window", chromedp.EmulateViewport(windowWidth, height))
}

// recorder is the proxy through which the browser reaches Airflow. It keeps all that Airflow answers, streams too, and
// lets no call go anywhere else.
type recorder struct {
	*httptest.Server
	airflow string // host and port
	forward *httputil.ReverseProxy

	mu      sync.Mutex
	answers []*answer
}

// answer is one answer of Airflow, as far as it has come.
type answer struct {
	method, path string
	status       int
	body         bytes.Buffer
}

func startRecorder(t *testing.T, airflow string) *recorder {
	t.Helper()
	address, err := url.Parse(airflow)
	must(t, err)
	r := &recorder{airflow: address.Host}
	r.forward = &httputil.ReverseProxy{
		// record reads the bodies as they are
		Rewrite:        func(p *httputil.ProxyRequest) { p.Out.Header.Del("Accept-Encoding") },
		Transport:      &http.Transport{DisableCompression: true},
		ModifyResponse: r.record,
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0), // a page that is left cuts its calls off
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP passes a call to Airflow on, and rejects any other.
func (r *recorder) ServeHTTP(w http.ResponseWriter, call *http.Request) {
	if call.Method == http.MethodConnect || call.URL.Host != r.airflow {
		http.Error(w, "only Airflow is reached from here", http.StatusForbidden)
		return
	}
	r.forward.ServeHTTP(w, call)
}

// record notes an answer. Its body follows as the browser reads it.
func (r *recorder) record(response *http.Response) error {
	a := &answer{method: response.Request.Method, path: response.Request.URL.RequestURI(), status: response.StatusCode}
	if strings.HasPrefix(a.path, "/static/") || strings.HasPrefix(a.path, "/auth/static/") {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, a)
	response.Body = copied{response.Body, r, a}
	return nil
}

// copied notes an answer's body as it is read.
type copied struct {
	io.ReadCloser
	recorder *recorder
	answer   *answer
}

func (c copied) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	c.answer.body.Write(p[:n])
	return n, err
}

// each calls visit with every answer so far.
func (r *recorder) each(visit func(a *answer, body string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.answers {
		visit(a, a.body.String())
	}
}

// triggered returns the id of the newest run that was triggered in the browser, and how many were.
func (r *recorder) triggered() (id string, n int) {
	r.each(func(a *answer, body string) {
		var run struct {
			ID string `json:"dag_run_id"`
		}
		if a.method == "POST" && path.Base(a.path) == "dagRuns" &&
			json.Unmarshal([]byte(body), &run) == nil && run.ID != "" {
			id, n = run.ID, n+1
		}
	})
	return id, n
}
