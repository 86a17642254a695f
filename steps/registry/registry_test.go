package registry_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// Only 200 passes, no redirect is followed, and what cannot change is asked once.
func TestRegistryCheck(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		good, permanent bool
		attempts        int32
	}{
		200: {true, false, 1}, 201: {false, true, 1}, 204: {false, true, 1}, 301: {false, true, 1}, 307: {false, true, 1},
		400: {false, false, 1}, 401: {false, false, 1}, 403: {false, false, 1}, 404: {false, true, 1},
		429: {false, false, 2}, 500: {false, false, 2}, 503: {false, false, 2},
	} {
		var attempts atomic.Int32
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			attempts.Add(1)
			user, password, _ := r.BasicAuth()
			if r.URL.Path != "/v2/" || user != "AWS" || password != "p" {
				t.Errorf("asked for %s as %q", r.URL, user)
			}
			w.Header().Set("Location", "https://elsewhere.example.com/v2/")
			w.WriteHeader(status)
		}))
		t.Cleanup(server.Close)
		err := registry.New(server.Client().Transport).Check(t.Context(), server.URL, "AWS", secret.New("p"))
		if (err == nil) != want.good || failure.IsPermanent(err) != want.permanent || attempts.Load() != want.attempts {
			t.Errorf("%d: %v after %d attempts, want %+v", status, err, attempts.Load(), want)
		}
	}
}

func TestRegistryAsksAnUntrustedOneOnce(t *testing.T) {
	t.Parallel()
	var handshakes atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { handshakes.Add(1); return nil, nil }}
	server.StartTLS()
	t.Cleanup(server.Close)
	err := registry.New(http.DefaultTransport).Check(t.Context(), server.URL, "AWS", secret.New("p"))
	if !failure.IsPermanent(err) || handshakes.Load() != 1 {
		t.Errorf("%v after %d handshakes", err, handshakes.Load())
	}
}
