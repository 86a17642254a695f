package airflowclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func retryAfter(status int, wait string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", wait)
		writeJSON(w, status, `{"detail":"slow down"}`)
	}
}

// breaks sends half an answer and closes the connection.
func breaks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	writeJSON(w, 200, dockerDB[:30])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func TestRetries(t *testing.T) {
	t.Parallel()
	good := answers(200, updated)
	for name, test := range map[string]struct {
		handle   http.HandlerFunc
		attempts int
		text     string // "": it succeeds in the end
		kind     Kind
	}{
		"503, then good":      {inTurn(answers(503, `{}`), good), 2, "", ""},
		"502, 504, then good": {inTurn(answers(502, `{}`), answers(504, `{}`), good), 3, "", ""},
		"429, then good":      {inTurn(retryAfter(429, "0"), good), 2, "", ""},
		"half, then good":     {inTurn(breaks, good), 2, "", ""},
		"500, then good":      {inTurn(answers(500, `{}`), answers(500, `{}`), good), 3, "", ""},
		"503 for ever":        {answers(503, `{"detail":"down"}`), 3, "airflow answered 503: down", Unavailable},
		"429 for ever":        {retryAfter(429, "0"), 3, "airflow answered 429: slow down", Unavailable},
		"broken for ever":     {breaks, 3, "unexpected EOF", Unreachable},
		"500 for ever":        {answers(500, `{}`), 3, "airflow answered 500 Internal Server Error", Unavailable},
		"501 is not repeated": {answers(501, `{}`), 1, "airflow answered 501 Not Implemented", Unavailable},
		"400 is not repeated": {answers(400, `{}`), 1, "airflow answered 400 Bad Request", Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAirflow(t, routes{bulk: test.handle})
			err := updateOne(t, newClient(t, a.URL))
			if test.text != "" {
				wantError(t, err, test.kind, test.text)
			} else if err != nil {
				t.Fatal(err)
			}
			got := a.received(bulk)
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

// Only a login that is answered 500 has six attempts.
func TestLoginIsRepeated(t *testing.T) {
	t.Parallel()
	broken := answers(500, `{}`)
	c := clientOf(t, routes{one: answers(200, dockerDB), login: inTurn(
		answers(503, `{}`), broken, broken, broken, broken, answers(201, `{"access_token":"t"}`))})
	if err := readOne(t, c); err != nil {
		t.Fatal(err)
	}
	a := newAirflow(t, routes{login: answers(503, `{}`)})
	wantError(t, readOne(t, newClient(t, a.URL)), Unavailable, "503")
	if n := len(a.received(login)); n != attempts {
		t.Errorf("%d attempts, want %d", n, attempts)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, wait := range []string{"120", "61", "Fri, 31 Dec 2199 23:59:59 GMT", "9223372036"} {
		for _, limited := range []bool{true, false} {
			a := newAirflow(t, routes{one: retryAfter(429, wait)})
			ctx := t.Context()
			if limited {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Minute)
				defer cancel()
			}
			_, err := newClient(t, a.URL).Connection(ctx, "docker_default")
			e := wantError(t, err, Unavailable, "airflow answered 429 and asks to wait ")
			if n := len(a.received(one)); n != 1 || e.Status != 429 {
				t.Errorf("%s: %d attempts, want 1; facts are %+v", wait, n, e)
			}
		}
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	c, err := New(Config{BaseURL: "http://airflow"})
	if err != nil {
		t.Fatal(err)
	}
	r := c.retrying()
	asks := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"30"}}}
	for attempt := range loginAttempts - 1 {
		times := time.Duration(attempt + 1)
		got := r.Backoff(r.RetryWaitMin, r.RetryWaitMax, attempt, nil)
		if got < times*500*time.Millisecond || got > times*1250*time.Millisecond {
			t.Errorf("attempt %d: waits %v", attempt, got)
		}
		if got := r.Backoff(r.RetryWaitMin, r.RetryWaitMax, attempt, asks); got != 30*time.Second {
			t.Errorf("attempt %d: waits %v, want what Airflow asks for", attempt, got)
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
	a := newAirflow(t, routes{one: endless})
	wantError(t, readOne(t, newClient(t, a.URL)), NotAirflow, "airflow's answer is longer than 8 MiB")
	if n := len(a.received(one)); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	whole := strings.Repeat(" ", maxAnswer-len(dockerDB)) + dockerDB
	if err := readOne(t, clientOf(t, routes{one: answers(200, whole)})); err != nil {
		t.Error(err)
	}
}

// What a call without an answer means, and whether another attempt may help.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	live := t.Context()
	canceled, cancel := context.WithCancel(live)
	cancel()
	late, cancelLate := context.WithDeadline(live, time.Now().Add(-time.Second))
	defer cancelLate()
	at := func(err error) error {
		return &url.Error{Op: "Get", URL: "http://u:" + newPassword + "@airflow", Err: err}
	}
	for name, test := range map[string]struct {
		ctx   context.Context
		err   error
		kind  Kind
		text  string
		again bool
	}{
		"refused": {live, at(errors.New("connect:\nrefused " + newPassword)), Unreachable,
			"reach airflow at http://airflow: connect: refused [redacted]", true},
		"timeout":  {live, at(&net.DNSError{IsTimeout: true}), Timeout, "no answer in time from airflow at h", true},
		"lookup":   {live, at(&net.DNSError{Err: "no such host"}), Unreachable, "no such host", true},
		"canceled": {canceled, at(io.EOF), Unreachable, "airflow at http://airflow: context canceled", false},
		"late":     {late, at(io.EOF), Timeout, "no answer in time", false},
		"too long": {live, at(failf(NotAirflow, 0, "", "it is long")), NotAirflow, "it is long", false},
		"untrusted": {live, at(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), Untrusted,
			"trust airflow at http://airflow: tls: failed to verify certificate", false},
		"alert": {live, at(&net.OpError{Op: "remote error", Err: errors.New("tls: protocol version")}), TLSAlert,
			"agree on TLS with airflow at http://airflow: remote error: tls: protocol version", false},
		"reset":  {live, at(&net.OpError{Op: "read", Err: errors.New("reset")}), Unreachable, "read: reset", true},
		"scheme": {live, at(http.ErrSchemeMismatch), WrongScheme, "airflow at http://airflow: http: server", false},
		"no TLS": {live, at(tls.RecordHeaderError{Msg: "odd record"}), WrongScheme, "odd record", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, "http://airflow")
			c.scrubber.add(hide(newPassword))
			err := c.unanswered(test.ctx, test.err)
			wantError(t, err, test.kind, test.text)
			if again, _ := c.checkRetry(test.ctx, nil, test.err); again != test.again {
				t.Errorf("another attempt: %v", again)
			}
			if errors.Is(err, context.Canceled) != (test.ctx == canceled) {
				t.Errorf("%v is context.Canceled, or is not", err)
			}
		})
	}
}

// The faults of a real network are those of integration/faults.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer((&airflow{}).handler(t, routes{one: answers(200, dockerDB)}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	trusting := func(cfg *Config) { cfg.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12} }
	c := newClient(t, s.URL, trusting)
	if err := readOne(t, c); err != nil || c.http.Timeout != attemptTimeout {
		t.Errorf("%v, with a timeout of %s", err, c.http.Timeout)
	}
	wantError(t, readOne(t, newClient(t, s.URL)), Untrusted, "x509: certificate signed by unknown authority")
}
