package real

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
)

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
