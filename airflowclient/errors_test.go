package airflowclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// quoted returns text as a JSON string.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

func TestKinds(t *testing.T) {
	t.Parallel()
	transient := map[Kind]bool{Conflict: true, Unavailable: true, Timeout: true, Unreachable: true}
	for _, kind := range []Kind{
		BadBaseURL, BadName, BadPassword, LoginRejected, TokenRejected, JWTRejected, NoLoginEndpoint, NotAirflow,
		Redirect, Forbidden, Invalid, ProxyAuth, WrongScheme, TLSAlert, Untrusted, Conflict, Unavailable, Timeout,
		Unreachable,
		NoConnection, NoPool, NoVariable, NoDAG, NoDAGRun, NoXCom,
	} {
		e := &Error{Kind: kind, Err: context.Canceled}
		missing := strings.HasPrefix(string(kind), "no such")
		if e.Permanent() == transient[kind] || errors.Is(e, ErrNotFound) != missing ||
			errors.Is(e, context.DeadlineExceeded) != (kind == Timeout) || !errors.Is(e, context.Canceled) {
			t.Errorf("%s: permanent is %v", kind, e.Permanent())
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	input := fmt.Sprintf(`{"type":"missing","loc":["body","actions",0,"conn_type"],"msg":"Field required",
		"input":{"password":%s},"ctx":{"p":%s}}`, quoted(newPassword), quoted(apiPassword))
	for _, test := range []struct {
		status     int
		body, text string
		kind       Kind
	}{
		{400, `{"detail":"Invalid value"}`, "400: Invalid value", Invalid},
		{403, `{"detail":"Forbidden"}`, "403: Forbidden", Forbidden},
		{404, `{"error":"API route not found"}`, "404: API route not found", NotAirflow},
		{404, `{"detail":"d","error":"e"}`, "404: d", NotAirflow},
		{405, `{"detail":"Method Not Allowed"}`, "405: Method Not Allowed", NotAirflow},
		{407, `{}`, "407 Proxy Authentication Required", ProxyAuth},
		{408, `{}`, "408 Request Timeout", Unavailable},
		{423, `{}`, "423 Locked", Unavailable},
		{425, `{}`, "425 Too Early", Unavailable},
		{409, `{"detail":{"reason":"Unique constraint violation","statement":"hidden","message":"look for ID x"}}`,
			"409: Unique constraint violation: look for ID x", Conflict},
		{409, `<html>`, "409 Conflict", Conflict},
		{422, `{"detail":[` + input + "," + input + `]}`, "422: [body actions 0 conn_type]: Field required", Invalid},
		{422, `{"detail":[]}`, "422 Unprocessable Entity", Invalid},
		{422, `{"detail":"got ` + newPassword + `"}`, "422: the request did not pass validation", Invalid},
		{400, `{"detail":"input_value={}"}`, "400: the request did not pass validation", Invalid},
		{400, `{"detail":"{'input': 1}"}`, "400: the request did not pass validation", Invalid},
		{422, `{"detail":[{"loc":["body"],"msg":` + quoted("got "+newPassword+" and "+apiPassword) + `}]}`,
			"422: [body]: got [redacted] and [redacted]", Invalid},
		{501, `{"detail":[7]}`, "501 Not Implemented", Unavailable},
		{507, `"` + newPassword + `"`, "507 Insufficient Storage", Unavailable},
		{599, `{"detail":null,"error":{}}`, "599", Unavailable},
	} {
		err := updateOne(t, clientOf(t, routes{bulk: answers(test.status, test.body)}))
		e := wantError(t, err, test.kind, "airflow answered "+test.text)
		if e.Status != test.status || strings.Count(err.Error(), "conn_type") > 1 {
			t.Errorf("facts are %+v", e)
		}
	}
}

// A missing right is named as the FAB auth manager does.
func TestRights(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"GET /x/api/v2/dags/d/details":                               "DAGs can_read",
		"GET /connections/api/v2/dags/d/dagRuns":                     "DAG Runs can_read",
		"GET /api/v2/dags/d/dagRuns/r/taskInstances":                 "Task Instances can_read",
		"GET /api/v2/dags/d/dagRuns/r/taskInstances/t/xcomEntries/k": "XComs can_read",
		"GET /api/v2/importErrors":                                   "ImportError can_read",
		"POST /api/v2/pools":                                         "Pools can_create",
		"PATCH /api/v2/variables/k":                                  "Variables can_edit",
		"GET /api/v2/connections/c":                                  "Connections can_read",
	} {
		method, path, _ := strings.Cut(asked, " ")
		c := &Client{}
		e := wantError(t, c.failed(answerTo(method, path, 403, `{"detail":"Forbidden"}`)), Forbidden, "403: Forbidden")
		if got := e.Object + " " + e.Right; got != want {
			t.Errorf("%s needs %s, want %s", asked, got, want)
		}
	}
}

// answerTo returns an answer with JSON.
func answerTo(method, path string, status int, body string) answer {
	return answer{&http.Response{
		StatusCode: status, Request: &http.Request{Method: method, URL: &url.URL{Path: path}},
		Header: http.Header{"Content-Type": {"application/json"}},
	}, []byte(body)}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newAirflow(t, routes{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		redirect := func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, elsewhere.URL+"/login?next=s3cret", status)
		}
		for _, r := range []routes{{login: redirect}, {bulk: redirect}} {
			wantError(t, updateOne(t, clientOf(t, r)), Redirect,
				fmt.Sprintf("airflow answered %d, a redirect to %s: no redirect is followed", status, elsewhere.URL))
		}
	}
	if len(elsewhere.received()) != 0 {
		t.Errorf("reached the other host: %v", elsewhere.received())
	}
	err := updateOne(t, clientOf(t, routes{bulk: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }}))
	wantError(t, err, Redirect, "airflow answered 304, a redirect to nowhere")
}

// FuzzMessage: whatever an Airflow says of what it was sent, one short line without a secret comes of it. In body,
// PASSWORD stands for one.
func FuzzMessage(f *testing.F) {
	f.Add(400, `{"detail":"got PASSWORD"}`)
	f.Add(404, `{"error":"API route not found"}`)
	f.Add(409, `{"detail":{"reason":"Unique constraint violation","message":"PASSWORD"}}`)
	f.Add(422, `{"detail":[{"loc":["body",0,"PASSWORD"],"msg":"got PASSWORD","input":"PASSWORD"}]}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		c := &Client{}
		c.scrubber.add(hide(newPassword))
		body = strings.ReplaceAll(body, "PASSWORD", newPassword)
		err := c.failed(answerTo(http.MethodPatch, "/api/v2/connections", status, body)).Error()
		if strings.Contains(err, newPassword) || utf8.RuneCountInString(err) > 260 ||
			strings.ContainsFunc(err, unicode.IsControl) {
			t.Errorf("%q comes of %q", err, body)
		}
	})
}
