package faults

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// TestEchoes runs each command against a twin of each service that repeats what it was sent, the longest words first:
// in every field of its JSON, or in the type of its content where that answers 201, and in the place it redirects to.
func TestEchoes(t *testing.T) {
	t.Parallel()
	for peer, commands := range map[string][]string{
		"ecr":      {"extract-ecr-token", "doctor --json"},
		"registry": {"update-docker-connection --in one.json", "run", "doctor"},
		"airflow":  {"update-docker-connection --in one.json", "run", "status", "doctor", "doctor --json", "setup"},
		"proxy":    {"update-docker-connection --in one.json", "doctor"},
		"engine":   {"test-docker-connection --in two.json", "run", "doctor"},
		"sts":      {"extract-ecr-token", "doctor", "doctor --json"},
		"oidc":     {"extract-ecr-token", "doctor"}, // STS, where a web identity takes the place of keys
	} {
		for _, status := range []int{200, 201, 307, 400, 403, 500} {
			t.Run(fmt.Sprintf("%s/%d", peer, status), func(t *testing.T) {
				t.Parallel()
				s := newSetting(t, 0)
				if peer == "proxy" { // of Airflow alone
					s.setenv("ECR_REFRESH_AIRFLOW_HOST", "airflow.invalid")
					s.setenv("HTTP_PROXY", "http://me:"+s.proxyPassword+"@"+s.Proxy.URL().Host)
				}
				switch role := "arn:aws:iam::210987654321:role/ecr"; peer {
				case "sts":
					s.setenv("AIRFLOW_VAR_ECR_TARGETS", `[{"connection_id":"docker_default","registry":"`+
						s.RegistryHost()+`","role_arn":"`+role+`"}]`)
				case "oidc":
					s.webIdentity(role)
				}
				s.peer(peer).Inject(sandbox.Fault{Status: status, Echo: func(r *http.Request) sandbox.Fault {
					return echo(r, status != 201)
				}})
				for i, args := range commands {
					if status == 500 && i > 0 { // each call is repeated
						break
					}
					s.start(patience, args).wantEnd()
				}
				if len(s.peer(peer).Requests()) == 0 {
					t.Error("nothing was asked")
				}
				s.wantNoSecret()
			})
		}
	}
}

// webIdentity gives the program a token of a web identity in place of keys.
func (s *setting) webIdentity(role string) {
	token := "oidc-" + rand.Text() + rand.Text()
	s.planted = append(s.planted, token)
	must(s.t, os.WriteFile(s.path("token"), []byte(token), 0o600))
	s.setenv("AWS_ROLE_ARN", role)
	s.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", s.path("token"))
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		s.setenv(name, "")
	}
}

var words = regexp.MustCompile(`[^\s",:;{}\[\]&=]{8,}`)

// echo repeats the beginning of each word of a request.
func echo(r *http.Request, asJSON bool) sandbox.Fault {
	body, _ := io.ReadAll(r.Body)
	_, password, _ := r.BasicAuth()
	sent := words.FindAllString(fmt.Sprint(r.Header, password, " ", string(body)), -1)
	slices.SortFunc(sent, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for i, word := range sent {
		sent[i] = word[:min(len(word), 40)]
	}
	all, fields := strings.Join(sent, " "), map[string]any{}
	for _, name := range strings.Fields("message Message __type code error detail version Version ApiVersion Status " +
		"reason access_token name state dag_id host login conn_type file_token content") {
		fields[name] = all
	}
	text, _ := json.Marshal(fields)
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" { // of STS, which speaks XML
		const form = "<ErrorResponse><Error><Code>%[1]s</Code><Message>%[1]s</Message></Error></ErrorResponse>"
		text = fmt.Appendf(nil, form, url.QueryEscape(all))
	}
	host := cmp.Or(regexp.MustCompile(`[A-Za-z0-9]{24,}`).FindString(all), "elsewhere")
	return sandbox.Fault{Body: string(text), Header: http.Header{
		"Content-Type": {map[bool]string{true: jsonType, false: host + "/" + host}[asJSON]}, "X-Amzn-Errortype": {all},
		"Location": {"https://" + host + ":443/" + url.PathEscape(all)},
	}}
}

// TestManyErrors has Airflow answer an update with more errors than anybody reads: the step ends soon, takes little
// memory, and fills no log.
func TestManyErrors(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(int) string{
		"a million empty ones": func(int) string { return `{}` },
		"100,000 small ones":   func(int) string { return `{"error":"no","status_code":409}` },
		"66,000 different ones": func(n int) string {
			const form = `{"error":"message %d for docker_default of %060d","status_code":409}`
			return fmt.Sprintf(form, n, n)
		},
		"deep ones":    func(int) string { return `{"error":[[[[]]]],"status_code":409}` },
		"many updated": func(int) string { return `""` },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, list := newSetting(t, 0), new(strings.Builder)
			for n := 0; n < 1_000_000 && list.Len() < 8<<20-200; n++ {
				list.WriteString("," + of(n))
			}
			field := map[bool]string{true: "success", false: "errors"}[strings.HasPrefix(list.String(), `,"`)]
			fault := saying(200, `{"update":{"`+field+`":[`+list.String()[1:]+`]}}`, jsonType)
			fault.Method, fault.Path = "PATCH", "/api/v2/connections"
			s.Airflow.Inject(fault)
			log, used := s.measure(update)
			failed := strings.Contains(log, "ecr-refresh: error: ")
			if !failed || used.CPU > time.Second || used.Memory > 64<<20 || len(log) > 64<<10 {
				t.Errorf("%s of CPU, %d MiB, %d bytes of log: %.300s", used.CPU, used.Memory>>20, len(log), log)
			}
			if testing.Verbose() {
				t.Logf("%s of CPU, %d MiB, %d bytes of log", used.CPU, used.Memory>>20, len(log))
			}
		})
	}
}

// measurer returns the path of integration/bench/rusage.
var measurer = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(program), "rusage")
	return path, exec.Command("go", "build", "-o", path, "ecr-refresh/integration/bench/rusage").Run()
})

// usage is what it reports.
type usage struct {
	CPU    time.Duration
	Memory int64 // bytes
}

// measure runs the program, and returns its log and what it used.
func (s *setting) measure(args string) (string, usage) {
	s.t.Helper()
	rusage, err := measurer()
	must(s.t, err)
	report, err := os.Create(s.path("usage"))
	must(s.t, err)
	defer report.Close()
	cmd := s.command(args)
	cmd.Path, cmd.Args, cmd.ExtraFiles = rusage, append([]string{rusage}, cmd.Args...), []*os.File{report}
	log, _ := cmd.CombinedOutput()
	text, err := os.ReadFile(report.Name())
	must(s.t, err)
	var used usage
	must(s.t, json.Unmarshal(text, &used))
	return string(log), used
}
