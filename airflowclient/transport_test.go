package airflowclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func retryAfterIs(status int, wait string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", wait)
		answerJSON(w, status, `{"detail":"slow down"}`)
	}
}

// breaks gives a handler that sends half an answer and closes the connection.
func breaks() http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		answerJSON(w, 200, dockerDB[:30])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	ok := says(200, `{"update":{"success":["a"],"errors":[]}}`)
	for name, test := range map[string]struct {
		handle   http.HandlerFunc
		attempts int
		text     string // "": it works in the end
	}{
		"503 then good":       {first(says(503, `{}`), ok), 2, ""},
		"502, 504 then good":  {first(says(502, `{}`), says(504, `{}`), ok), 3, ""},
		"429 then good":       {first(retryAfterIs(429, "0"), ok), 2, ""},
		"half, then good":     {first(breaks(), ok), 2, ""},
		"503 for ever":        {says(503, `{"detail":"down"}`), 3, "airflow answered 503: down"},
		"429 for ever":        {retryAfterIs(429, "0"), 3, "airflow answered 429: slow down"},
		"broken for ever":     {breaks(), 3, "unexpected EOF"},
		"500 then good":       {first(says(500, `{}`), says(500, `{}`), ok), 3, ""},
		"500 for ever":        {says(500, `{}`), 3, "airflow answered 500 Internal Server Error"},
		"501 is not repeated": {says(501, `{}`), 1, "airflow answered 501 Not Implemented"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAirflow(t, routes{bulk: test.handle})
			a.Config.ErrorLog = log.New(io.Discard, "", 0)
			err := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates("a"))["a"]
			if test.text == "" && err != nil {
				t.Fatal(err)
			}
			if test.text != "" {
				wantError(t, err, false, test.text, "Airflow's API server")
			}
			got := a.asked(bulk)
			if len(got) != test.attempts {
				t.Errorf("%d attempts, want %d", len(got), test.attempts)
			}
			for _, r := range got {
				if r.body != got[0].body || r.body == "" {
					t.Errorf("another attempt sent %q, the first %q", r.body, got[0].body)
				}
			}
		})
	}
}

func TestLoginIsRetried(t *testing.T) {
	t.Parallel()
	broken := says(500, `{}`)
	a := newAirflow(t, routes{login: first(says(503, `{}`), broken, broken, broken, broken, says(201, `{"access_token":"t"}`)), one: says(200, dockerDB)})
	if _, err := newClient(t, a.URL).Connection(t.Context(), "docker_default"); err != nil {
		t.Fatal(err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, wait := range []string{"120", "Fri, 31 Dec 2199 23:59:59 GMT", "9223372036"} {
		for _, limited := range []bool{true, false} {
			a := newAirflow(t, routes{one: retryAfterIs(429, wait)})
			ctx := t.Context()
			if limited {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Minute)
				defer cancel()
			}
			_, err := newClient(t, a.URL).Connection(ctx, "docker_default")
			wantError(t, err, false, "airflow answered 429 and asks to wait ", hintServer)
			if n := len(a.asked(one)); n != 1 {
				t.Errorf("%s: %d attempts, want 1", wait, n)
			}
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	answer := func(after string) *http.Response {
		return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {after}}}
	}
	for range 100 {
		for _, test := range []struct {
			attempt         int
			resp            *http.Response
			least, greatest time.Duration
		}{
			{0, nil, time.Second, 2 * time.Second},
			{1, nil, 2 * time.Second, 3 * time.Second},
			{9, nil, 8 * time.Second, 9 * time.Second},
			{0, answer("30"), 30 * time.Second, 31 * time.Second},
			{5, answer("0"), 0, 0},
			{1, answer("soon"), 2 * time.Second, 3 * time.Second},
		} {
			if got := backoff(time.Second, 8*time.Second, test.attempt, test.resp); got < test.least || got > test.greatest {
				t.Errorf("attempt %d: waits %v, want %v to %v", test.attempt, got, test.least, test.greatest)
			}
		}
	}
}

func TestAnswerTooLong(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for chunk := bytes.Repeat([]byte(" "), 64<<10); req.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	a := newAirflow(t, routes{one: endless, bulk: endless})
	c := newClient(t, a.URL)
	_, err := c.Connection(t.Context(), "docker_default")
	wantError(t, err, true, "airflow's answer is longer than 1 MiB", hintBaseURL)
	err = c.UpdateConnections(t.Context(), someUpdates("a"))["a"]
	wantError(t, err, true, "airflow's answer is longer than 8 MiB", hintBaseURL)
	if n := len(a.asked(one)) + len(a.asked(bulk)); n != 2 {
		t.Errorf("%d attempts of 2 calls, want 2", n)
	}
}

// hangs gives a handler that sends the start of an answer, or nothing, and then waits until the client is gone.
func hangs(start string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if start != "" {
			answerJSON(w, 200, start)
			w.(http.Flusher).Flush()
		}
		<-req.Context().Done()
	}
}

func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"", dockerDB[:20]} {
		a := newAirflow(t, routes{one: first(says(200, dockerDB), hangs(start))})
		var said bytes.Buffer
		c := newClient(t, a.URL, func(cfg *Config) {
			cfg.AttemptTimeout, cfg.Log = time.Minute, slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		client := c.api.Client.(*doer).client
		if _, err := c.Connection(t.Context(), "docker_default"); err != nil || client.Timeout != time.Minute {
			t.Fatalf("%v, with a timeout of %v", err, client.Timeout)
		}
		client.Timeout = 50 * time.Millisecond // only now: logging in may take longer on a busy machine
		said.Reset()
		_, err := c.Connection(t.Context(), "docker_default")
		wantError(t, err, false, "no answer in time from airflow at "+a.URL, hintNetwork)
		if sent := strings.Count(said.String(), "asking airflow"); sent != attempts { // not what arrived, for the same reason
			t.Errorf("%d attempts, want %d", sent, attempts)
		}
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"", dockerDB[:20]} {
		ctx, cancel := context.WithCancel(t.Context())
		wait := hangs(start)
		a := newAirflow(t, routes{one: func(w http.ResponseWriter, req *http.Request) {
			time.AfterFunc(10*time.Millisecond, cancel)
			wait(w, req)
		}})
		c := newClient(t, a.URL)
		_, err := c.Connection(ctx, "docker_default")
		wantError(t, err, false, "no answer from airflow at "+a.URL+": context canceled", hintNetwork)
		if n := len(a.asked(one)); n != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d attempts and %v, want 1", n, err)
		}
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	a := newAirflow(t, routes{})
	_, err := newClient(t, a.URL).Connection(ctx, "docker_default")
	wantError(t, err, false, "no answer in time from airflow at "+a.URL, hintNetwork)
	if !errors.Is(err, context.DeadlineExceeded) || len(a.all()) != 0 {
		t.Errorf("got %v, asked %v", err, a.all())
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	base := "http://" + l.Addr().String()
	_, err = newClient(t, base).Connections(t.Context())
	wantError(t, err, false, `log in as "refresher": reach airflow at `+base+": dial tcp "+l.Addr().String()+": connect: connection refused", hintNetwork)
}

// overTLS starts a stand-in that speaks TLS and gives the pool that trusts it.
func overTLS(t *testing.T, edit func(*tls.Config)) (*httptest.Server, *x509.CertPool, *atomic.Int32) {
	t.Helper()
	handshakes := new(atomic.Int32)
	a := &airflow{}
	s := httptest.NewUnstartedServer(a.handler(t, routes{one: says(200, dockerDB)}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			handshakes.Add(1)
		}
	}
	s.TLS = &tls.Config{}
	edit(s.TLS)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, pool, handshakes
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s, pool, _ := overTLS(t, func(*tls.Config) {})
	trusting := func(cfg *Config) { cfg.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12} }
	if _, err := newClient(t, s.URL, trusting).Connection(t.Context(), "docker_default"); err != nil {
		t.Fatal(err)
	}
	_, err := newClient(t, s.URL, func(cfg *Config) { cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12} }).Connections(t.Context())
	wantError(t, err, true, "trust airflow at "+s.URL+": tls: failed to verify certificate: x509: certificate signed by unknown authority", "--ca-file")

	other := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	_, err = newClient(t, other, trusting).Connections(t.Context())
	wantError(t, err, true, "x509: certificate is valid for example.com", "--ca-file")

	_, err = newClient(t, strings.Replace(s.URL, "https", "http", 1), trusting).Connections(t.Context())
	wantError(t, err, true, "airflow answered 400 Bad Request", hintBaseURL)
}

func TestTLSHandshakeRefused(t *testing.T) {
	t.Parallel()
	s, pool, handshakes := overTLS(t, func(cfg *tls.Config) { cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 })
	_, err := newClient(t, s.URL, func(cfg *Config) { cfg.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12} }).Connections(t.Context())
	wantError(t, err, true, "protocol version", "TLS 1.2 or newer")
	if n := handshakes.Load(); n != 1 {
		t.Errorf("%d handshakes, want 1", n)
	}
}

func TestTLSToPlainPort(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{})
	_, err := newClient(t, strings.Replace(a.URL, "http", "https", 1)).Connections(t.Context())
	wantError(t, err, true, "server gave HTTP response to HTTPS client", "http or https")
}
