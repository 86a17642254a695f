package registry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// Only 200 passes, no redirect is followed, the body is not read, and only what may pass is tried once more.
func TestCheck(t *testing.T) {
	t.Parallel()
	type outcome struct {
		kind                failure.Kind
		permanent, rejected bool
		attempts            int32
	}
	for status, want := range map[int]outcome{
		200: {"", false, false, 1}, 201: {registry.NotRegistry, true, false, 1},
		300: {registry.NotRegistry, true, false, 1}, 307: {registry.NotRegistry, true, false, 1},
		400: {registry.WrongRegion, false, true, 1}, 401: {registry.Rejected, false, true, 1},
		403: {registry.Rejected, false, true, 1}, 404: {registry.NotRegistry, true, false, 1},
		429: {registry.Unavailable, false, false, 2}, 499: {registry.NotRegistry, true, false, 1},
		500: {registry.Unavailable, false, false, 2},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			var attempts atomic.Int32
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				attempts.Add(1)
				user, password, _ := r.BasicAuth()
				if r.URL.Path != "/v2/" || r.URL.RawQuery != "" || user+password != "AWSp" {
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
			got := outcome{kind, failure.IsPermanent(err), errors.Is(err, registry.ErrRejected), attempts.Load()}
			if got != want || (err == nil) != (status == 200) || strings.Contains(fmt.Sprint(err), "S3CRET") {
				t.Errorf("%+v: %v, want %+v", got, err, want)
			}
			about := failure.Facts{Object: server.Listener.Addr().String()}
			if err != nil && facts != about {
				t.Errorf("%+v, want %+v", facts, about)
			}
		})
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
	ctx, cancel := context.WithCancel(t.Context())
	broken := func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
	good := func() (*http.Response, error) { return &http.Response{StatusCode: 200, Body: http.NoBody}, nil }
	untrusted := func() (*http.Response, error) { return nil, &tls.CertificateVerificationError{Err: io.EOF} }
	stopped := func() (*http.Response, error) { cancel(); return nil, context.Canceled }
	for _, row := range []struct {
		answers transport
		want    error
	}{
		{transport{broken, good}, nil},
		{transport{broken, broken, good}, io.ErrUnexpectedEOF},
		{transport{untrusted, good}, io.EOF},
		{transport{stopped, good}, context.Canceled},
	} {
		rest := row.answers
		err := registry.New(&rest).Check(ctx, "https://r.example.com", "AWS", secret.New("p"))
		says := "check token at registry r.example.com: "
		if failure.IsPermanent(err) != (row.want == io.EOF) || (err == nil) != (row.want == nil) ||
			err != nil && (len(rest) != 1 || !strings.HasPrefix(err.Error(), says) ||
				!strings.Contains(err.Error(), row.want.Error())) {
			t.Errorf("%v, %d left, want %v", err, len(rest), row.want)
		}
	}
}

// A login goes to https only.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://r.example.com", "r.example.com", "https://", "https:///v2/", "://"} {
		err := registry.New(new(transport)).Check(t.Context(), address, "AWS", secret.New("p"))
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

func TestIsIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		" r.example.com": true, "HTTPS://R.example.com/x": true, "r.example.com:x": true, "u:p@r.example.com": true,
		"other-r.example.com": false, "r.example.com.evil.example": false, "rxexample.com": false, "": false,
	} {
		if got := registry.IsIn(text, "r.example.com"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
