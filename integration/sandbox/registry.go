package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Check is one request to the registry's /v2/.
type Check struct {
	Host     string
	Username string // "" came without credentials
	Status   int
}

// Registry stands in for the private registries of every account and region, at /v2/ alone: nothing can be pulled.
type Registry struct {
	Faults
	lookup func(password string) (Token, bool)
	now    func() time.Time

	state   sync.Mutex
	refused bool
	status  int
	checks  []Check
}

// Refuse answers every request that carries credentials with 403.
func (g *Registry) Refuse(refused bool) { change(&g.state, func() { g.refused = refused }) }

// SetStatus answers every request that carries credentials with status. 0 goes back to checking them.
func (g *Registry) SetStatus(status int) { change(&g.state, func() { g.status = status }) }

// Checks returns the requests to /v2/ so far.
func (g *Registry) Checks() []Check {
	return locked(&g.state, func() []Check { return slices.Clone(g.checks) })
}

// ServeHTTP answers one request.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.answer(w, r, g.check) }

func (g *Registry) check(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	switch {
	case r.URL.Path != "/v2/":
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	username, _, _ := r.BasicAuth()
	status, text := g.verify(r)
	change(&g.state, func() { g.checks = append(g.checks, Check{hostname(r.Host), username, status}) })
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("Www-Authenticate", `Basic realm="https://`+hostname(r.Host)+`/",service="ecr.amazonaws.com"`)
	case http.StatusOK:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// verify returns the status and text with which the registry answers the credentials.
func (g *Registry) verify(r *http.Request) (int, string) {
	username, password, ok := r.BasicAuth()
	if !ok {
		return http.StatusUnauthorized, "Not Authorized\n"
	}
	if status := locked(&g.state, g.override); status != 0 {
		return status, http.StatusText(status) + "\n"
	}
	token, found := g.lookup(password)
	switch {
	case username != "AWS":
		return http.StatusUnauthorized, "Not Authorized\n"
	case !found && !tokenShaped(password), found && token.Region != registryRegion(r.Host):
		return http.StatusBadRequest, "Bad Request\n"
	case !found:
		return http.StatusForbidden, "Your Authorization Token is invalid.\n"
	case !g.now().Before(token.ExpiresAt):
		return http.StatusForbidden, "Your authorization token has expired. Reauthenticate and try again."
	}
	return http.StatusOK, "{}"
}

func (g *Registry) override() int {
	if g.refused {
		return http.StatusForbidden
	}
	return g.status
}

// tokenShaped reports whether password could be a token of somebody else's: base64 of a JSON object.
func tokenShaped(password string) bool {
	document, err := base64.StdEncoding.DecodeString(password)
	return err == nil && json.Unmarshal(document, &struct{}{}) == nil
}
