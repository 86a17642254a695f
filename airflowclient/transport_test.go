package airflowclient

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

func retryAfter(status int, wait string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Retry-After", wait)
		answers(status, `{"detail":"slow down"}`)(w, req)
	}
}

// breaks sends half an answer and closes the connection.
func breaks(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Length", "1000")
	answers(200, updated[:30])(w, req)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// Another attempt sends the same, and may succeed.
func TestRetries(t *testing.T) {
	t.Parallel()
	granted, good, broken := answers(201, `{"access_token":"t"}`), answers(200, updated), answers(500, `{}`)
	for _, test := range []struct {
		line    string
		answers []http.HandlerFunc
	}{
		{bulk, []http.HandlerFunc{answers(503, `{}`), good}},
		{bulk, []http.HandlerFunc{answers(502, `{}`), answers(504, `{}`), good}},
		{bulk, []http.HandlerFunc{retryAfter(429, "0"), good}},
		{bulk, []http.HandlerFunc{breaks, good}},
		{bulk, []http.HandlerFunc{broken, broken, good}},
		{login, []http.HandlerFunc{answers(503, `{}`), broken, broken, broken, broken, granted}},
	} {
		a := newAirflow(t, routes{login: granted, bulk: good, test.line: inTurn(test.answers...)})
		noError(t, updateOne(t, newClient(t, a.URL)))
		got := a.received(test.line)
		if len(got) != len(test.answers) {
			t.Errorf("%s: %d attempts, want %d", test.line, len(got), len(test.answers))
		}
		for _, r := range got {
			if r.body != got[0].body || r.body == "" {
				t.Errorf("another attempt sent %q, the first %q", r.body, got[0].body)
			}
		}
	}
	a := newAirflow(t, routes{bulk: breaks})
	wantError(t, updateOne(t, newClient(t, a.URL)), failure.Unreachable, "unexpected EOF")
	if n := len(a.received(bulk)); n != attempts {
		t.Errorf("%d attempts, want %d", n, attempts)
	}
}

// handled is a transport that answers at once, without a network.
type handled http.HandlerFunc

func (h handled) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, req)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// How long a call waits before it has failed in vain: Airflow may ask for a wait, which must fit into the time left.
func TestWaits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		asks           string
		limit          time.Duration // 0: none
		least, longest time.Duration
		kind           failure.Kind
		text           string
	}{
		{"", 0, 1500 * time.Millisecond, 3750 * time.Millisecond, Unavailable, "answered 503: slow down"},
		{"", time.Second, time.Second, time.Second, failure.Unreachable, "no answer in time"},
		{"20", 0, 40 * time.Second, 40 * time.Second, Unavailable, "answered 503: slow down"},
		{"61", time.Minute, 0, 0, Unavailable, "answered 503 and asks to wait 61 s, longer than the time left"},
		{"30", 59 * time.Second, 30 * time.Second, 30 * time.Second, Unavailable, "asks to wait 30 s"},
		{"Fri, 31 Dec 2199 23:59:59 GMT", time.Hour, 0, 0, Unavailable, "asks to wait "},
		{"9223372036", time.Hour, 0, 0, Unavailable, "asks to wait "},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if test.limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.limit)
				defer cancel()
			}
			c, err := New(Config{BaseURL: "http://airflow"})
			noError(t, err)
			c.http.Transport = handled(retryAfter(503, test.asks))
			begin := time.Now()
			_, err = c.Version(ctx)
			wantError(t, err, test.kind, test.text)
			if took := time.Since(begin); took < test.least || took > test.longest {
				t.Errorf("%q: it took %s, want %s to %s", test.asks, took, test.least, test.longest)
			}
		})
	}
}

// An attempt has a limit of its own, in time and in what it reads.
func TestLimits(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat(" ", maxAnswer-len(dockerDB)) + dockerDB
	a := newAirflow(t, routes{one: inTurn(answers(200, whole), answers(200, whole+" "))})
	c := newClient(t, a.URL)
	noError(t, readOne(t, c))
	wantError(t, readOne(t, c), NotAirflow, "airflow's answer is longer than 8 MiB")
	if n := len(a.received(one)); n != 2 || c.http.Timeout != transport.AttemptTimeout {
		t.Errorf("%d attempts, want 2; each has %s", n, c.http.Timeout)
	}
}
