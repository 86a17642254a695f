package airflowclient

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ecr-refresh/steps/failure"
)

// ErrNotFound says that the metadata database has no such connection, pool, Variable and so on.
var ErrNotFound = errors.New("airflow has no such object")

// missing is a kind of object that Airflow has not, and an ErrNotFound.
type missing string

func (m missing) Error() string { return "airflow has no such " + string(m) }

// Is tells errors.Is that every missing object is ErrNotFound.
func (m missing) Is(target error) bool { return target == ErrNotFound }

// invalid stands for words of the server that may quote the request, password included.
const invalid = "the request did not pass validation"

// airflowEnv is the prefix of the variables that hold connection airflow-api.
const airflowEnv = "ECR_REFRESH_AIRFLOW_"

// What to do next.
const (
	hintBaseURL = "check schema, host, port and base path of connection airflow-api: below it, /api/v2/version must answer JSON (Airflow 3)"
	hintLogin   = "check login and password of connection airflow-api"
	hintNoLogin = "check schema, host, port and base path of connection airflow-api; the auth manager must offer POST /auth/token (Amazon's does not)"
	hintJWT     = "give all API servers the same [api_auth] jwt_secret, and check the clocks of their machines"
	hintToken   = "put a new one there, as the auth manager makes it (it may have expired, or be of another Airflow), or unset it to log in with login and password"
	hintRight   = "%s %s needs %s on %s: airflow roles add-perms ROLE -r %s -a %s (FAB%s), or the role %s (SimpleAuthManager)"
	hintTwice   = "it is there already, or somebody changes it at the same time: try again"
	hintServer  = "look into the log of Airflow's API server, then try again"
	hintNetwork = "check that Airflow's API server runs and can be reached from here: schema, host and port of connection airflow-api, HTTPS_PROXY, NO_PROXY"
	hintScheme  = "set the schema of connection airflow-api to what its port speaks: http or https"
	hintTLS     = "let Airflow's API server, or the proxy before it, speak TLS 1.2 or newer and ask for no client certificate"
	hintCA      = "give the certificate of its authority with --ca-file (ECR_REFRESH_CA_FILE), use a host name that its certificate holds, or renew the certificate"
)

func notFound(id string) error {
	return failure.Permanent(failure.Kind("create it: airflow connections add "+id+" --conn-type docker --conn-host REGISTRY --conn-login AWS "+
		"(one from an environment variable or a secrets backend cannot be updated)"), "%w", missing("connection"))
}

// refused makes an error of an answer that reports a failure.
func (c *Client) refused(a answer) error {
	if a.status >= 300 && a.status < 400 {
		return failure.Permanent("give the final address as host of connection airflow-api",
			"airflow answered %d, a redirect to %s: no redirect is followed", a.status, a.target())
	}
	return classified(a.status, a.hint(), c.said(a))
}

// classified tells what a retry may help from what it cannot.
func classified(status int, hint, said string) error {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
		return failure.Transient(failure.Kind(hint), "%s", said)
	}
	if status >= 500 {
		return failure.Transient(failure.Kind(hint), "%s", said)
	}
	return failure.Permanent(failure.Kind(hint), "%s", said)
}

func (a answer) hint() string {
	switch {
	case a.status == http.StatusTooManyRequests || a.status >= 500:
		return hintServer
	case !a.isJSON() && a.status != http.StatusProxyAuthRequired:
		return hintBaseURL
	case a.status == http.StatusUnauthorized:
		return hintLogin
	case a.status == http.StatusForbidden && a.resource().name != "":
		return a.hintRight()
	case a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity:
		return "this Airflow may be older or newer than ecr-refresh knows"
	case a.status == http.StatusConflict:
		return hintTwice
	case a.status == http.StatusProxyAuthRequired:
		return "check the proxy in HTTP_PROXY"
	}
	return hintBaseURL
}

// resource is a kind of object as the FAB auth manager names it, and the role of the SimpleAuthManager that may read it.
type resource struct{ name, object, reader string }

// resource gives what was asked for: the deepest in the path decides.
func (a answer) resource() resource {
	_, below, _ := strings.Cut(a.asked.Path, "/api/v2")
	for _, r := range []struct {
		path string
		resource
	}{
		{"/xcomEntries", resource{"XComs", "an XCom", "Viewer"}},
		{"/taskInstances", resource{"Task Instances", "a task", "Viewer"}},
		{"/dagRuns", resource{"DAG Runs", "a DAG run", "Viewer"}},
		{"/dags", resource{"DAGs", "a DAG", "Viewer"}},
		{"/importErrors", resource{"ImportError", "import errors", "Viewer"}},
		{"/pools", resource{"Pools", "a pool", "Viewer"}},
		{"/variables", resource{"Variables", "a Variable", "Op"}},
		{"/connections", resource{"Connections", "a connection", "Op"}},
	} {
		if strings.Contains(below, r.path) {
			return r.resource
		}
	}
	return resource{}
}

// hintRight names the right that a user lacks, and the command that gives it.
func (a answer) hintRight() string {
	r, doing, right := a.resource(), "reading", "can_read"
	switch a.method {
	case http.MethodPost:
		r.reader, doing, right = "Op", "creating", "can_create"
	case http.MethodPatch:
		r.reader, doing, right = "Op", "updating", "can_edit"
	}
	enough := ""
	if r.name == "Connections" && right != "can_create" {
		enough = "; a role with can_read and can_edit on Connections is enough"
	}
	quoted := r.name
	if strings.Contains(quoted, " ") {
		quoted = "'" + quoted + "'"
	}
	return fmt.Sprintf(hintRight, doing, r.object, right, r.name, quoted, right, enough, r.reader)
}

// target gives scheme and host of a redirect, and no more: path and query may hold anything.
func (a answer) target() string {
	u, err := a.asked.Parse(a.header.Get("Location"))
	if err != nil || a.header.Get("Location") == "" {
		return "nowhere"
	}
	return tidy(u.Scheme + "://" + u.Host)
}

// said gives status and words. What stands behind the colon is the server's.
func (c *Client) said(a answer) string { return answered(a.status, c.scrub(a.words())) }

func answered(status int, words string) string {
	if words == "" {
		return strings.TrimSpace(fmt.Sprintf("airflow answered %d %s", status, http.StatusText(status)))
	}
	return fmt.Sprintf("airflow answered %d: %s", status, words)
}

// words picks what a person can use out of an answer that reports a failure. Airflow's `detail` is a string, a list of
// validation errors or an object; an unknown route has `error` instead; a 500 is plain text, of which nothing is
// repeated. Input and context of a validation error are left out, and so is the Simple auth manager's 422, a string
// that holds the request.
func (a answer) words() string {
	var body struct{ Detail, Error json.RawMessage }
	if !a.isJSON() || json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(body.Error, &text) == nil && body.Detail == nil {
		return text
	}
	if json.Unmarshal(body.Detail, &text) == nil {
		if a.status == http.StatusUnprocessableEntity || strings.Contains(text, "input_value") || strings.Contains(text, "'input'") {
			return invalid
		}
		return text
	}
	var object struct{ Reason, Message string }
	if json.Unmarshal(body.Detail, &object) == nil {
		return strings.Trim(object.Reason+": "+object.Message, ": ")
	}
	return validation(body.Detail)
}

// validation words a list of validation errors. Airflow gives the list of a bulk request twice.
func validation(detail json.RawMessage) string {
	var list []struct {
		Loc []any
		Msg string
	}
	if json.Unmarshal(detail, &list) != nil {
		return ""
	}
	var lines []string
	for _, e := range list {
		line := strings.ReplaceAll(strings.Trim(fmt.Sprint(e.Loc), "[]"), " ", ".") + ": " + e.Msg
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// unreachable makes an error of a call that got no answer, or none that could be read.
func (c *Client) unreachable(ctx context.Context, err error) error {
	var wrapped *url.Error // it repeats method and URL
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	why := c.scrub(err.Error())
	switch {
	case errors.As(err, new(*waitError)):
		return failure.Transient(hintServer, "%s", why)
	case errors.Is(ctx.Err(), context.Canceled):
		return failure.Transient(hintNetwork, "no answer from airflow at %s: %w", c.base, ctx.Err())
	case ctx.Err() != nil || isTimeout(err):
		return failure.Transient(hintNetwork, "%w", &lateError{c.base})
	case errors.As(err, new(*longError)):
		return failure.Permanent(hintBaseURL, "%s", why)
	case isScheme(err):
		return failure.Permanent(hintScheme, "reach airflow at %s: %s", c.base, why)
	case failure.IsAlert(err):
		return failure.Permanent(hintTLS, "agree on TLS with airflow at %s: %s", c.base, why)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return failure.Permanent(hintCA, "trust airflow at %s: %s", c.base, why)
	}
	return failure.Transient(hintNetwork, "reach airflow at %s: %s", c.base, why)
}

// lateError says that an attempt, or the caller, ran out of time. It is context.DeadlineExceeded.
type lateError struct{ base string }

func (e *lateError) Error() string { return "no answer in time from airflow at " + e.base }

// Is tells errors.Is what it is.
func (e *lateError) Is(target error) bool { return target == context.DeadlineExceeded }

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// isScheme tells a peer that does not speak TLS.
func isScheme(err error) bool {
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, new(tls.RecordHeaderError))
}
