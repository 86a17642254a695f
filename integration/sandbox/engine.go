package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// dockerHub is where an Engine sends the credentials of a login that names no registry.
const dockerHub = "registry-1.docker.io"

// Login is one request to the Engine's /auth.
type Login struct {
	ServerAddress string // as the client sent it; "" means Docker Hub
	Username      string
	Status        int
}

// Engine stands in for a Docker Engine on a unix socket: ping, version and login. A login really asks the registry,
// through the sandbox's proxy.
type Engine struct {
	Faults
	socket string
	client *http.Client

	state       sync.Mutex
	stop        func() error // nil while it does not listen
	version     string
	api, minAPI string
	logins      []Login
}

func newEngine(socket string, client *http.Client) *Engine {
	return &Engine{socket: socket, client: client, version: "28.5.2", api: "1.51", minAPI: "1.24"}
}

// Host returns the Engine's address, as DOCKER_HOST wants it.
func (e *Engine) Host() string { return "unix://" + e.socket }

// SetVersion sets the Engine's version and the API versions that it speaks.
func (e *Engine) SetVersion(version, api, minAPI string) {
	e.state.Lock()
	defer e.state.Unlock()
	e.version, e.api, e.minAPI = version, api, minAPI
}

// SetDown stops the Engine and removes its socket, or starts it again.
func (e *Engine) SetDown(down bool) error {
	if down {
		return e.close()
	}
	return e.listen()
}

// Logins returns the requests to /auth so far.
func (e *Engine) Logins() []Login {
	return locked(&e.state, func() []Login { return slices.Clone(e.logins) })
}

func (e *Engine) listen() error {
	e.state.Lock()
	defer e.state.Unlock()
	if e.stop != nil {
		return nil
	}
	listener, err := net.Listen("unix", e.socket)
	if err != nil {
		return err
	}
	e.stop = serve(listener, e)
	return os.Chmod(e.socket, 0o600)
}

func (e *Engine) close() error {
	e.state.Lock()
	stop := e.stop
	e.stop = nil
	e.state.Unlock()
	if stop == nil {
		return nil
	}
	return stop()
}

// ServeHTTP answers one request, with or without a version in its path.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.answer(w, r, e.route) }

func (e *Engine) route(w http.ResponseWriter, r *http.Request) {
	version, api, minAPI := e.versions()
	w.Header().Set("Server", "Docker/"+version+" (linux)")
	w.Header().Set("Api-Version", api)
	w.Header().Set("Ostype", "linux")
	w.Header().Set("Docker-Experimental", "false")
	asked, path := splitVersion(r.URL.Path)
	if asked == "" {
		asked = api
	}
	switch call := r.Method + " " + path; {
	case !slices.Contains([]string{"HEAD /_ping", "GET /_ping", "GET /version", "POST /auth"}, call):
		engineError(w, http.StatusNotFound, "page not found")
	case olderAPI(asked, minAPI):
		engineError(w, http.StatusBadRequest, fmt.Sprintf("client version %s is too old. "+
			"Minimum supported API version is %s, please upgrade your client to a newer version", asked, minAPI))
	case olderAPI(api, asked):
		engineError(w, http.StatusBadRequest, fmt.Sprintf("client version %s is too new. "+
			"Maximum supported API version is %s", asked, api))
	case path == "/_ping":
		e.ping(w)
	case path == "/version":
		e.serveVersion(w)
	default:
		e.auth(w, r)
	}
}

func (e *Engine) versions() (version, api, minAPI string) {
	e.state.Lock()
	defer e.state.Unlock()
	return e.version, e.api, e.minAPI
}

func (e *Engine) ping(w http.ResponseWriter) {
	w.Header().Set("Builder-Version", "2")
	w.Header().Set("Swarm", "inactive")
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "OK")
}

func (e *Engine) serveVersion(w http.ResponseWriter) {
	version, api, minAPI := e.versions()
	writeJSON(w, http.StatusOK, map[string]any{
		"Platform": map[string]string{"Name": "Docker Engine - Community"},
		"Version":  version, "ApiVersion": api, "MinAPIVersion": minAPI,
		"Os": "linux", "Arch": runtime.GOARCH, "GoVersion": runtime.Version(), "GitCommit": "0000000",
		"KernelVersion": "6.1.0", "BuildTime": "2026-01-01T00:00:00.000000000+00:00",
		"Components": []map[string]any{{"Name": "Engine", "Version": version,
			"Details": map[string]string{"ApiVersion": api, "MinAPIVersion": minAPI}}},
	})
}

func (e *Engine) auth(w http.ResponseWriter, r *http.Request) {
	var login struct{ Username, Password, ServerAddress string }
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&login); err != nil {
		engineError(w, http.StatusInternalServerError, err.Error())
		return
	}
	err := e.login(r.Context(), registryOf(login.ServerAddress), login.Username, login.Password)
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
	}
	change(&e.state, func() { e.logins = append(e.logins, Login{login.ServerAddress, login.Username, status}) })
	if err != nil {
		engineError(w, status, err.Error())
		return
	}
	writeJSON(w, status, map[string]string{"IdentityToken": "", "Status": "Login Succeeded"})
}

// registryOf returns the host that an Engine asks for a server address: it ignores a path, and "" is Docker Hub.
func registryOf(address string) string {
	if address == "" {
		return dockerHub
	}
	address = strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://")
	host, _, _ := strings.Cut(address, "/")
	return host
}

// login asks the registry twice, as an Engine does: for its challenge, and then with what the challenge wants.
func (e *Engine) login(ctx context.Context, host, username, password string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	endpoint := "https://" + host + "/v2/"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return err
	}
	challenge, err := e.ask(request)
	if err != nil {
		return err
	}
	if strings.HasPrefix(challenge.Header.Get("Www-Authenticate"), "Basic ") {
		request.SetBasicAuth(username, password)
	}
	answer, err := e.ask(request)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New("login attempt to " + endpoint + " failed with status: " + answer.Status)
	}
	return nil
}

func (e *Engine) ask(request *http.Request) (*http.Response, error) {
	response, err := e.client.Do(request)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16))
	return response, response.Body.Close()
}

func engineError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"message": message})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// versioned is a path with the version of the API before it.
var versioned = regexp.MustCompile(`^/v([0-9]+\.[0-9]+)(/.*)$`)

// splitVersion cuts "/v1.51" off a path.
func splitVersion(path string) (version, rest string) {
	if m := versioned.FindStringSubmatch(path); m != nil {
		return m[1], m[2]
	}
	return "", path
}

func olderAPI(a, b string) bool { return slices.Compare(numbers(a), numbers(b)) < 0 }

func numbers(version string) (out []int) {
	for part := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(part)
		out = append(out, n)
	}
	return out
}
