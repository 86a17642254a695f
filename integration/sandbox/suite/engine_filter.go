package suite

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"testing"
)

// EngineCalls returns the calls that step 3 needs of the Engine API. Who may use all of the socket is root on that
// host; a filter before it may pass no more than these.
func EngineCalls() []string { return []string{"GET /version", "POST /auth"} }

// EngineFilter starts a proxy before a Docker socket that passes some calls of any version of the API, and rejects all
// others in HTML, as those that people use do. It returns the proxy's address.
func EngineFilter(t *testing.T, socket string, calls ...string) string {
	version := regexp.MustCompile(`^/v1\.\d+/`)
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	pass.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(calls, r.Method+" "+version.ReplaceAllString(r.URL.Path, "/")) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<html><body><h1>403 Forbidden</h1></body></html>")
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}
