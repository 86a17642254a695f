package registry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// Only 200 passes, no redirect is followed, the body is not read, and only what may pass is tried once more.
func TestCheck(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		kind      failure.Kind
		permanent bool
		attempts  int32
	}{
		200: {"", false, 1}, 201: {registry.NotRegistry, true, 1}, 299: {registry.NotRegistry, true, 1},
		300: {registry.NotRegistry, true, 1}, 307: {registry.NotRegistry, true, 1},
		399: {registry.NotRegistry, true, 1},
		400: {registry.WrongRegion, false, 1}, 401: {registry.Rejected, false, 1}, 403: {registry.Rejected, false, 1},
		404: {registry.NotRegistry, true, 1}, 429: {registry.Unavailable, false, 2},
		499: {registry.NotRegistry, true, 1}, 500: {registry.Unavailable, false, 2},
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			var attempts atomic.Int32
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				attempts.Add(1)
				user, password, _ := r.BasicAuth()
				if r.URL.Path != "/v2/" || r.URL.RawQuery != "" || user != "AWS" || password != "p" {
					t.Errorf("asked for %s as %q", r.URL, user)
				}
				w.Header().Set("Location", "https://elsewhere.example.com/v2/")
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, strings.Repeat("S3CRET", 1000))
			}))
			t.Cleanup(server.Close)
			client := registry.New(server.Client().Transport)
			err := client.Check(t.Context(), server.URL+"/a/?b", "AWS", secret.New("p"))
			kind, facts := failure.Describe(err)
			if kind != want.kind || failure.IsPermanent(err) != want.permanent || attempts.Load() != want.attempts {
				t.Errorf("%q %v after %d attempts, want %+v", kind, err, attempts.Load(), want)
			}
			if errors.Is(err, registry.ErrRejected) != (status == 400 || status == 401 || status == 403) {
				t.Errorf("rejected: %v", err)
			}
			if strings.Contains(fmt.Sprint(err), "S3CRET") {
				t.Error(err)
			}
			about := failure.Facts{Object: server.Listener.Addr().String(), Status: status}
			if (err == nil) != (status == 200) || err != nil && facts != about {
				t.Errorf("%+v, want %+v", facts, about)
			}
		})
	}
}

// A certificate that is not trusted is permanent, and is not tried again.
func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	var handshakes atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		handshakes.Add(1)
		return nil, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	err := registry.New(http.DefaultTransport).Check(t.Context(), server.URL, "AWS", secret.New("p"))
	if !failure.IsPermanent(err) || handshakes.Load() != 1 {
		t.Errorf("%v after %d handshakes", err, handshakes.Load())
	}
}

// transport answers as the functions in turn do.
type transport []func() (*http.Response, error)

func (tr *transport) RoundTrip(*http.Request) (*http.Response, error) {
	next := (*tr)[0]
	*tr = (*tr)[1:]
	return next()
}

func TestConnectionThatFails(t *testing.T) {
	t.Parallel()
	const url = "https://r.example.com"
	broken := func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
	good := func() (*http.Response, error) { return &http.Response{StatusCode: 200, Body: http.NoBody}, nil }
	rest := transport{broken, good}
	if err := registry.New(&rest).Check(t.Context(), url, "AWS", secret.New("p")); err != nil {
		t.Error(err)
	}
	rest = transport{broken, broken, good}
	err := registry.New(&rest).Check(t.Context(), url, "AWS", secret.New("p"))
	named := strings.HasPrefix(fmt.Sprint(err), "check token at registry r.example.com: ")
	if failure.IsPermanent(err) || !named || len(rest) != 1 {
		t.Errorf("%v, %d left", err, len(rest))
	}
	ctx, cancel := context.WithCancel(t.Context())
	rest = transport{func() (*http.Response, error) { cancel(); return nil, context.Canceled }, good}
	err = registry.New(&rest).Check(ctx, url, "AWS", secret.New("p"))
	if !errors.Is(err, context.Canceled) || len(rest) != 1 {
		t.Errorf("canceled: %v, %d left", err, len(rest))
	}
}

// A login goes to https only.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://r.example.com", "r.example.com", "https://", "https:///v2/", "://"} {
		rest := transport{}
		err := registry.New(&rest).Check(t.Context(), address, "AWS", secret.New("p"))
		if !failure.IsPermanent(err) || !strings.Contains(err.Error(), "is not https://HOST") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for address, want := range map[string]string{
		"https://R.example.com:443/v2/": "r.example.com", "r.example.com": "r.example.com", "": "", "https://[::1": "",
		"r.example.com:5000/x": "r.example.com", "https://user@r.example.com": "r.example.com",
	} {
		if got := registry.Host(address); got != want {
			t.Errorf("host of %q is %q, want %q", address, got, want)
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for status, good := range map[int]bool{200: true, 401: true, 403: false, 404: false, 503: false} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, login := r.BasicAuth(); login || r.URL.Path != "/v2/" {
				t.Errorf("asked for %s, login %v", r.URL, login)
			}
			w.Header().Set("Date", at.Format(http.TimeFormat))
			w.WriteHeader(status)
		}))
		t.Cleanup(server.Close)
		date, err := registry.New(server.Client().Transport).Reach(t.Context(), server.URL)
		if (err == nil) != good || good != date.Equal(at) {
			t.Errorf("%d: %s, %v", status, date, err)
		}
	}
	if _, err := registry.New(&transport{}).Reach(t.Context(), "http://r.example.com"); err == nil {
		t.Error("http passes")
	}
}
