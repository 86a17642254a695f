package airflowclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"ecr-refresh/steps/untrusted"
)

// Kind names what went wrong.
type Kind string

// The kinds. The last block is transient: the same call may succeed later.
const (
	BadBaseURL      Kind = "bad base URL"
	BadName         Kind = "bad name"     // Object cannot be the name of what was asked for
	BadPassword     Kind = "bad password" // Airflow would keep the old password, or store another
	LoginRejected   Kind = "login rejected"
	TokenRejected   Kind = "token rejected" // the bearer token of Config
	JWTRejected     Kind = "JWT rejected"   // of a login that has just succeeded
	NoLoginEndpoint Kind = "no login endpoint"
	NotAirflow      Kind = "not Airflow" // the answer is not one of Airflow 3's API
	Redirect        Kind = "redirect"
	Forbidden       Kind = "forbidden" // Right is missing on Object
	Invalid         Kind = "invalid"   // Airflow's validation rejected the request
	ProxyAuth       Kind = "proxy auth"
	Proxy           Kind = "proxy does not connect" // Object is the proxy
	WrongScheme     Kind = "wrong scheme"           // https to a port that speaks http
	TLSAlert        Kind = "TLS alert"
	Untrusted       Kind = "untrusted" // the certificate

	// ErrNotFound: the metadata database has no such object. Object is its name.
	NoConnection   Kind = notFoundPrefix + "connection"
	NoPool         Kind = notFoundPrefix + "pool"
	NoVariable     Kind = notFoundPrefix + "Variable"
	NoDAG          Kind = notFoundPrefix + "DAG"
	NoXCom         Kind = notFoundPrefix + "XCom"
	notFoundPrefix      = "no such "

	Conflict    Kind = "conflict"    // the object exists, or somebody else changes it at the same time
	Unavailable Kind = "unavailable" // Airflow answered, and asks to come later or has failed
	Timeout     Kind = "timeout"
	Unreachable Kind = "unreachable"
)

// ErrNotFound says that the metadata database has no such connection, pool, Variable and so on.
var ErrNotFound = errors.New("airflow has no such object")

// Error is a call that failed.
type Error struct {
	Kind   Kind
	Status int    // HTTP status that Airflow answered; 0: none
	Object string // name of what the call was about; of a rejected login or token: Config.Account
	Right  string // Forbidden: can_read, can_edit or can_create, on what FAB calls Object: Connections, DAG Runs …
	Err    error

	AuthManager string // Forbidden: FAB, Simple, or "" for another one

	message untrusted.Text // Airflow's
}

// Error returns what went wrong, on one line.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent reports that a retry cannot help.
func (e *Error) Permanent() bool {
	down := e.Kind == Proxy && e.Status >= 500
	return !down && !slices.Contains([]Kind{Conflict, Unavailable, Timeout, Unreachable}, e.Kind)
}

// MissingRight returns the error of err in which Airflow says that the account lacks a right, or nil.
func MissingRight(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Forbidden {
		return e
	}
	return nil
}

// mentions reports whether a message of Airflow has name, as a whole word.
func mentions(message, name string) bool {
	whole := `(^|[^\w.-])` + regexp.QuoteMeta(name) + `($|[^\w.-])`
	return strings.Contains(message, name) && regexp.MustCompile(whole).MatchString(message)
}

// Is reports whether e is ErrNotFound.
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && strings.HasPrefix(string(e.Kind), notFoundPrefix)
}

// failf returns an error about object. The format is fmt.Errorf's, %w included.
func failf(kind Kind, status int, object, format string, args ...any) *Error {
	return &Error{Kind: kind, Status: status, Object: object, Err: fmt.Errorf(format, args...)}
}

func notFound(kind Kind, name string) *Error {
	return failf(kind, http.StatusNotFound, name, "airflow has %s", kind)
}

// failed returns the error of an answer that reports a failure. Airflow answers 401 "Token Expired" or "Not
// authenticated" and 403 "Invalid JWT token" for a JWT that it rejects, and 403 "Forbidden" for a right that is missing
// (resolve_user_from_token in airflow/api_fastapi/core_api/security.py).
func failed(a answer) *Error {
	status, message := a.StatusCode, a.message()
	err := failf(kindOf(status), status, "", "%s", answered(a.through(), status, message))
	err.message = message
	switch {
	case err.Kind == Redirect:
		to := untrusted.New("nowhere")
		if u, err := a.Location(); err == nil { // no more of it: path and query may hold anything
			to = untrusted.New(u.Scheme + "://" + u.Host)
		}
		err.Err = fmt.Errorf("airflow answered %d, a redirect to %s: no redirect is followed", status, to)
	case !a.isJSON() && (err.Kind == Invalid || err.Kind == Forbidden || err.Kind == JWTRejected):
		err.Kind = NotAirflow
	case err.Kind == Forbidden && message.Raw() == "Invalid JWT token":
		err.Kind = JWTRejected
	}
	return err
}

// kindOf returns the kind of a status that reports a failure. NotAirflow: 404 and 405 are of an unknown route.
func kindOf(status int) Kind {
	switch {
	case status >= 300 && status < 400:
		return Redirect
	case status >= 500, slices.Contains([]int{408, 423, 425, 429}, status):
		return Unavailable
	}
	kinds := map[int]Kind{400: Invalid, 401: JWTRejected, 403: Forbidden, 407: ProxyAuth, 409: Conflict, 422: Invalid}
	return cmp.Or(kinds[status], NotAirflow)
}

// unanswered returns the error of a call that got no answer, or none that could be read.
func (c *Client) unanswered(ctx context.Context, err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok { // it repeats method and URL
		err = wrapped.Err
	}
	timeout, _ := errors.AsType[net.Error](err)
	op, _ := errors.AsType[*net.OpError](err)
	base, doing, kind := c.config.BaseURL, "reach", Unreachable
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return failf(Unreachable, 0, "", "no answer from airflow at %s: %w", base, ctx.Err())
	case ctx.Err() != nil || timeout != nil && timeout.Timeout():
		return failf(Timeout, 0, "", "no answer in time from airflow at %s", base)
	case errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, new(tls.RecordHeaderError)):
		kind = WrongScheme
	case op != nil && op.Op == "remote error": // crypto/tls has no exported type for an alert
		doing, kind = "agree on TLS with", TLSAlert
	case errors.As(err, new(*tls.CertificateVerificationError)):
		doing, kind = "trust", Untrusted
	}
	return failf(kind, 0, "", "%s airflow at %s: %s", doing, base, untrusted.New(err.Error()))
}

// invalid stands for a message that may quote the request, password included.
const invalid = "the request did not pass validation"

// answered words an answer of who. What stands behind the colon is the server's.
func answered(who string, status int, message untrusted.Text) string {
	if shown := message.String(); shown != "" {
		return fmt.Sprintf("%s answered %d: %s", who, status, shown)
	}
	return strings.TrimSpace(fmt.Sprintf("%s answered %d %s", who, status, http.StatusText(status)))
}

// message picks what a person can use out of an answer that reports a failure. Airflow's `detail` is a string, a list
// of validation errors or an object; an unknown route has `error` instead; of plain text nothing is repeated, nor the
// input and context of a validation error, nor the Simple auth manager's 422, a string that holds the request.
func (a answer) message() (text untrusted.Text) {
	var body struct{ Detail, Error any }
	if !a.isJSON() || len(a.body) > maxFailure || json.Unmarshal(a.body, &body) != nil {
		return text
	}
	str := func(value any) string { s, _ := value.(string); return s }
	switch detail := body.Detail.(type) {
	case string:
		if a.StatusCode == http.StatusUnprocessableEntity ||
			strings.Contains(detail, "input_value") || strings.Contains(detail, "'input'") {
			detail = invalid
		}
		return untrusted.New(detail)
	case map[string]any:
		return untrusted.New(strings.Trim(str(detail["reason"])+": "+str(detail["message"]), ": "))
	case []any: // that of a bulk request has each error twice
		for _, e := range detail {
			if e, _ := e.(map[string]any); str(e["msg"]) != "" {
				return untrusted.New(fmt.Sprintf("%v: %s", e["loc"], str(e["msg"])))
			}
		}
	}
	return untrusted.New(str(body.Error))
}
