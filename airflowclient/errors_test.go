package airflowclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps/failure"
)

// quoted returns text as a JSON string.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// What an answer means, what is repeated of it, and how often the call was made.
func TestAnswers(t *testing.T) {
	t.Parallel()
	input := fmt.Sprintf(`{"type":"missing","loc":["body","actions",0,"conn_type"],"msg":"Field required",
		"input":{"password":%s},"ctx":{"p":%s}}`, quoted(newPassword), quoted(apiPassword))
	for _, test := range []struct {
		status, calls int
		body, text    string
		kind          failure.Kind
	}{
		{200, 1, `<html>`, "200 with text/html instead of JSON", NotAirflow},
		{200, 1, ``, "200 with no content type instead of JSON", NotAirflow},
		{200, 1, `["` + newPassword + `"]`, "200 with JSON of another shape than Airflow 3's", NotAirflow},
		{200, 1, updated[:40], "200 with JSON of another shape", NotAirflow},
		{304, 1, ``, `304, a redirect to "": `, NotAirflow},
		{400, 1, `{"detail":"Invalid value"}`, "400: Invalid value", Invalid},
		{400, 1, `<html>` + newPassword, "400 Bad Request", NotAirflow},
		{400, 1, `{"detail":"input_value={}"}`, "400: the request did not pass validation", Invalid},
		{400, 1, `{"detail":"{'input': 1}"}`, "400: the request did not pass validation", Invalid},
		{401, 1, `<html>`, "401 Unauthorized", NotAirflow},
		{403, 1, `{"detail":"Forbidden"}`, "403: Forbidden", Forbidden},
		{403, 1, `<html>`, "403 Forbidden", NotAirflow},
		{404, 1, `{"error":"API route not found"}`, "404: API route not found", NotAirflow},
		{404, 1, `{"detail":"d","error":"e"}`, "404: d", NotAirflow},
		{405, 1, `{"detail":"Method Not Allowed"}`, "405: Method Not Allowed", NotAirflow},
		{407, 1, `<html>`, "407 Proxy Authentication Required", failure.ProxyAuth},
		{408, 1, `{}`, "408 Request Timeout", Unavailable},
		{409, 1, `{"detail":{"reason":"Unique constraint violation","statement":"hidden"}}`, "409 Conflict", Conflict},
		{409, 1, `<html>`, "409 Conflict", Conflict},
		{422, 1, `{"detail":[` + input + "," + input + `]}`, "422: [body actions 0 conn_type]: Field", Invalid},
		{422, 1, `{"detail":[{"msg":{"input":"hunter22"}},{"type":"x"}]}`, "422 Unprocessable Entity", Invalid},
		{422, 1, `{"detail":[]}`, "422 Unprocessable Entity", Invalid},
		{422, 1, `{"detail":"got ` + newPassword + `"}`, "422: the request did not pass validation", Invalid},
		{422, 1, `{"detail":[{"loc":["body"],"msg":` + quoted("got "+newPassword+", "+apiPassword+", token-1"+jwtEnd) +
			`}]}`, "422: [body]: got [redacted], [redacted], [redacted]", Invalid},
		{423, 1, `{}`, "423 Locked", Unavailable},
		{425, 1, `{}`, "425 Too Early", Unavailable},
		{429, 3, `{"detail":"slow down"}`, "429: slow down", Unavailable},
		{500, 3, `{}`, "500 Internal Server Error", Unavailable},
		{501, 1, `{"detail":[7]}`, "501 Not Implemented", Unavailable},
		{503, 3, `<html>`, "503 Service Unavailable", Unavailable},
		{507, 3, `"` + newPassword + `"`, "507 Insufficient Storage", Unavailable},
		{599, 3, `{"detail":null,"error":{}}`, "599", Unavailable},
	} {
		a := newAirflow(t, routes{bulk: answers(test.status, test.body)})
		err := updateOne(t, newClient(t, a.URL))
		wantError(t, err, test.kind, "airflow answered "+test.text)
		if strings.Count(err.Error(), "conn_type") > 1 {
			t.Error(err)
		}
		if n := len(a.received(bulk)); n != test.calls {
			t.Errorf("%d: %d calls, want %d", test.status, n, test.calls)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newAirflow(t, routes{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		redirect := func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, elsewhere.URL+"/login?next=s3cret", status)
		}
		for _, r := range []routes{{login: redirect}, {bulk: redirect}} {
			wantError(t, updateOne(t, clientOf(t, r)), NotAirflow,
				fmt.Sprintf("airflow answered %d, a redirect to %q: no redirect is followed", status, elsewhere.URL))
		}
	}
	if len(elsewhere.received()) != 0 {
		t.Errorf("reached the other host: %v", elsewhere.received())
	}
}

// What a call without an answer means, and how often it is made.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	live := t.Context()
	canceled, cancel := context.WithCancel(live)
	cancel()
	late, cancelLate := context.WithDeadline(live, time.Now().Add(-time.Second))
	defer cancelLate()
	for _, test := range []struct {
		ctx      context.Context
		err      error
		kind     failure.Kind
		text     string
		attempts int // 0: any number
	}{
		{live, errors.New("connect:\nrefused " + newPassword), failure.Unreachable,
			"reach airflow at http://airflow: connect: refused [redacted]", attempts},
		{live, &net.DNSError{IsTimeout: true}, failure.Unreachable, "http://airflow: no answer in time", attempts},
		{live, &net.DNSError{Err: "no such host"}, failure.Unreachable, "no such host", attempts},
		{late, io.EOF, failure.Unreachable, "no answer in time", 0},
		{live, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, failure.Untrusted,
			"reach airflow at http://airflow: tls: failed to verify certificate", 1},
		{live, &net.OpError{Op: "remote error", Err: errors.New("tls: protocol version")}, failure.TLSAlert,
			"agree on TLS with airflow at http://airflow: remote error: tls: protocol version", 1},
		{live, &net.OpError{Op: "read", Err: errors.New("reset")}, failure.Unreachable, "read: reset", attempts},
		{live, http.ErrSchemeMismatch, NotAirflow, "airflow at http://airflow: http: server", 1},
		{live, tls.RecordHeaderError{Msg: "odd record"}, NotAirflow, "odd record", 1},
	} {
		c, calls := newClient(t, "http://airflow"), 0
		c.http.Transport = failing(func() error {
			calls++
			return test.err
		})
		_, err := c.Version(test.ctx)
		wantError(t, err, test.kind, test.text)
		if test.attempts > 0 && calls != test.attempts {
			t.Errorf("%s: %d attempts, want %d", err, calls, test.attempts)
		}
	}
	_, err := newClient(t, "http://airflow").Version(canceled)
	if !errors.Is(err, context.Canceled) || err.Error() != "reach airflow at http://airflow: context canceled" {
		t.Error(err)
	}
}

// failing is a transport that has no answer.
type failing func() error

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f() }
