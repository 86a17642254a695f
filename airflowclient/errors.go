package airflowclient

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/untrusted"
)

// Kinds of failure, beside those of a call without an answer. Of Conflict and Unavailable, a retry may help. The fact
// Object is what the call was about; of a rejected login or token, Config.Account.
const (
	BadBaseURL      failure.Kind = "bad base URL"
	BadName         failure.Kind = "bad name"     // Object cannot be the name of what was asked for
	BadPassword     failure.Kind = "bad password" // Airflow would keep the old password, or store another
	BadGrantType    failure.Kind = "bad grant type"
	LoginRejected   failure.Kind = "login rejected by Airflow"
	LoginFailed     failure.Kind = "login failed in Airflow" // 500, which may be a rejected login: see createToken
	TokenRejected   failure.Kind = "token rejected"          // the bearer token of Config
	JWTRejected     failure.Kind = "JWT rejected"            // of a login that has just succeeded
	NoLoginEndpoint failure.Kind = "no login endpoint"
	NotAirflow      failure.Kind = "not Airflow" // the answer is not one of Airflow 3's API: a redirect, or no TLS
	Invalid         failure.Kind = "invalid"     // Airflow's validation rejected the request
	Conflict        failure.Kind = "conflict"    // the object exists, or somebody else changes it at the same time
	Unavailable     failure.Kind = "Airflow unavailable"

	// MissingRight, by who grants it: Want (can_read, can_edit …) is missing on Object, as FAB calls them (DAG Runs …),
	// or as Keycloak does (PUT on Connection).
	Forbidden           failure.Kind = "forbidden" // by another auth manager
	ForbiddenByFAB      failure.Kind = "forbidden by FAB"
	ForbiddenByKeycloak failure.Kind = "forbidden by Keycloak"
	ForbiddenBySimple   failure.Kind = "forbidden by SimpleAuthManager"

	// ErrNotFound: the metadata database has no such object. Object is its name.
	NoConnection failure.Kind = "no such connection"
	NoPool       failure.Kind = "no such pool"
	NoVariable   failure.Kind = "no such Variable"
	NoDAG        failure.Kind = "no such DAG"
	NoXCom       failure.Kind = "no such XCom"
)

// ErrNotFound says that the metadata database has no such connection, pool, Variable and so on: the kind goes on.
var ErrNotFound = errors.New("airflow has")

func notFound(kind failure.Kind, name string) error {
	return failure.Permanent(kind, "%w %s", ErrNotFound, kind).About(name)
}

// MissingRight returns the right that the account lacks if Airflow says so in err, as "can_edit on Connections", or "".
func MissingRight(err error) string {
	missing := failure.Is(err, Forbidden, ForbiddenByFAB, ForbiddenByKeycloak, ForbiddenBySimple)
	if _, is := failure.Describe(err); missing {
		return is.Want + " on " + is.Object
	}
	return ""
}

// refusal is an answer that reports a failure, as the cause of an error.
type refusal struct {
	by      string // airflow, or a proxy
	status  int
	message untrusted.Text
}

// refused returns the refusal in err, or the zero one.
func refused(err error) refusal {
	r, _ := errors.AsType[refusal](err)
	return r
}

// Error words it. What stands behind the colon is the server's.
func (r refusal) Error() string {
	if shown := r.message.String(); shown != "" {
		return fmt.Sprintf("%s answered %d: %s", r.by, r.status, shown)
	}
	return strings.TrimSpace(fmt.Sprintf("%s answered %d %s", r.by, r.status, http.StatusText(r.status)))
}

// failure returns the error of r's status. NotAirflow: 404 and 405 are of an unknown route.
func (r refusal) failure() *failure.Error {
	kinds := map[int]failure.Kind{400: Invalid, 401: JWTRejected, 403: Forbidden, 407: failure.ProxyAuth, 409: Conflict,
		422: Invalid}
	kind := cmp.Or(kinds[r.status], NotAirflow)
	if transport.IsTransient(r.status) {
		kind = Unavailable
	}
	return &failure.Error{Kind: kind, Err: r, Transient: kind == Conflict || kind == Unavailable}
}

// failed returns the error of an answer that reports a failure. Airflow answers 401 "Token Expired" or "Not
// authenticated" and 403 "Invalid JWT token" for a JWT that it rejects, and 403 "Forbidden" for a right that is missing
// (resolve_user_from_token in airflow/api_fastapi/core_api/security.py).
func failed(a answer) error {
	if a.StatusCode/100 == 3 {
		const form = "airflow answered %d, a redirect to %q: no redirect is followed"
		return failure.Permanent(NotAirflow, form, a.StatusCode, transport.RedirectHost(a.Response))
	}
	message := a.message()
	err := refusal{a.through(), a.StatusCode, message}.failure()
	switch {
	case !a.isJSON() && failure.Is(err, Invalid, Forbidden, JWTRejected):
		err.Kind = NotAirflow
	case err.Kind == Forbidden && message.Raw() == "Invalid JWT token":
		err.Kind = JWTRejected
	}
	return err
}

// unanswered returns the error of a call that got no answer, or none that could be read.
func (c *Client) unanswered(err error) error {
	airflow := "airflow at " + c.config.BaseURL
	if errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, new(tls.RecordHeaderError)) {
		return failure.Permanent(NotAirflow, "reach %s: %s", airflow, failure.Cause(err))
	}
	return failure.Network(airflow, err)
}

// invalid stands for a message that may quote the request, password included.
const invalid = "the request did not pass validation"

// message picks what a person can use out of an answer that reports a failure. Airflow's `detail` is a string or a list
// of validation errors; an unknown route has `error` instead. Nothing else is repeated, nor the input and context of a
// validation error, nor the Simple auth manager's 422, a string that holds the request.
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
	case []any: // that of a bulk request has each error twice
		for _, e := range detail {
			if e, _ := e.(map[string]any); str(e["msg"]) != "" {
				return untrusted.New(fmt.Sprintf("%v: %s", e["loc"], str(e["msg"])))
			}
		}
	}
	return untrusted.New(str(body.Error))
}
