// Package airflowclient talks to the REST API of Airflow 3, as far as ecr-refresh needs it: log in, read and write
// connections (in bulk, too), pools and Variables, read DAGs and their runs, log out. openapi.yaml is the part of
// Airflow's own OpenAPI document that is used, client.gen.go is generated from it, and the files beside it are written by
// hand: client.go (what a call is), auth.go (the JWT), one file for each kind of object, transport.go (retries,
// redirects, limits), errors.go (what a failure means and what to do about it) and scrub.go (what may be repeated of a
// server's words).
//
// Every error is a *failure.Error in the end. No error and no log line holds a body, a password or a JWT: Airflow echoes
// the input of a request that fails validation, so its words are picked out of the answer and scrubbed first.
package airflowclient

//go:generate go tool oapi-codegen -config oapi-codegen.yaml openapi.yaml

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// Config says where Airflow's API is and who logs in, or with which token.
type Config struct {
	BaseURL        string        // scheme://host[:port][/base/path]; the path is kept
	Login          string        // user name
	Password       secret.Secret // of that user
	Token          secret.Secret // a bearer token made elsewhere: then nobody logs in, and Login and Password are not used
	EnvPrefix      string        // of the variables that hold these three, for errors and hints; "": ECR_REFRESH_AIRFLOW_
	TLS            *tls.Config   // nil: the system's certificates, TLS 1.2 or newer
	AttemptTimeout time.Duration // for each of up to three attempts of a call, six of a login; 0: 10 s
	Log            *slog.Logger  // debug lines only, never a body; nil: none
}

// Client is one login to one Airflow. It may be used by several goroutines at once.
type Client struct {
	base     string
	user     string
	password secret.Secret
	given    secret.Secret // instead of a login; others may use it too, so it is never revoked
	env      string        // see Config.EnvPrefix
	api      *API
	hidden   hidden

	mu  sync.Mutex // held while logging in: one login serves all callers
	jwt secret.Secret
}

// New checks cfg and gives a client. Nothing is sent before the first call.
func New(cfg Config) (*Client, error) {
	base, err := baseURL(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	api, err := NewClient(base, WithHTTPClient(newDoer(cfg)))
	if err != nil {
		return nil, failure.Permanent(hintBaseURL, "prepare airflow's API client: %w", err)
	}
	c := &Client{base: base, user: cfg.Login, password: cfg.Password, given: cfg.Token, env: cmp.Or(cfg.EnvPrefix, airflowEnv), api: api}
	if err := c.checkToken(); err != nil {
		return nil, err
	}
	c.hidden.add(cfg.Password)
	c.hidden.add(cfg.Token)
	return c, nil
}

// BaseURL gives the base URL in use, without a slash at its end.
func (c *Client) BaseURL() string { return c.base }

// baseURL checks raw. It never repeats it: a URL with user information holds a password.
func baseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", failure.Permanent(hintBaseURL, "airflow's base URL cannot be read as a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", failure.Permanent(hintBaseURL, "airflow's base URL has scheme %q, want http or https", u.Scheme)
	case u.Hostname() == "":
		return "", failure.Permanent(hintBaseURL, "airflow's base URL has no host")
	case u.User != nil:
		return "", failure.Permanent("put them into login and password of connection airflow-api",
			"airflow's base URL holds a user name or a password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", failure.Permanent(hintBaseURL, "airflow's base URL has a query or a fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// send is one call of the generated client, less its context.
type send func(...RequestEditorFn) (*http.Response, error)

// answer is what Airflow answered, read to its end.
type answer struct {
	method string
	asked  *url.URL
	status int
	header http.Header
	body   []byte
}

// call sends with a JWT and decodes the answer, which must be 200 and JSON, into out.
func (c *Client) call(ctx context.Context, out any, s send) error {
	a, err := c.authorized(ctx, s)
	if err != nil {
		return err
	}
	return c.decode(a, out)
}

// find is a call about one object. A 404 that names it is ErrNotFound: that of an unknown route does not.
func (c *Client) find(ctx context.Context, kind missing, name string, out any, s send) error {
	a, err := c.authorized(ctx, s)
	if err != nil {
		return err
	}
	if a.status == http.StatusNotFound && slices.Contains(strings.FieldsFunc(a.words(), notInName), name) {
		return failure.Permanent("", "%w", kind)
	}
	return c.decode(a, out)
}

// notInName tells what stands around a name in Airflow's words.
func notInName(r rune) bool { return strings.ContainsRune(" `'\"", r) }

// checkName refuses names that mean another resource in a path.
func checkName(names ...string) error {
	for _, name := range names {
		if name == "" || name == "." || name == ".." || strings.ContainsFunc(name, func(r rune) bool { return r == '/' || unicode.IsControl(r) }) {
			return failure.Permanent("", "%q cannot stand in a path of airflow's API", failure.Cut(name))
		}
	}
	return nil
}

// exchange sends and reads. A status that reports a failure is an answer, not an error.
func (c *Client) exchange(ctx context.Context, s send, edit ...RequestEditorFn) (answer, error) {
	resp, err := s(edit...)
	if err != nil {
		return answer{}, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // in memory already: see doer.Do
	if err != nil {
		return answer{}, c.unreachable(ctx, err)
	}
	return answer{method: resp.Request.Method, asked: resp.Request.URL, status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// decode reads a good answer. 200 alone proves nothing: below a wrong base path Airflow answers 200 with its web page.
// What encoding/json says is dropped, since it may quote the body.
func (c *Client) decode(a answer, out any) error {
	switch {
	case a.status != http.StatusOK && a.status != http.StatusCreated:
		return c.refused(a)
	case !a.isJSON():
		return failure.Permanent(hintBaseURL, "airflow answered %d with %s instead of JSON", a.status, tidy(a.mediaType()))
	case json.Unmarshal(a.body, out) != nil:
		return failure.Permanent(hintBaseURL, "airflow answered %d with JSON of another shape than Airflow 3's", a.status)
	}
	return nil
}

func (a answer) isJSON() bool { return a.mediaType() == "application/json" }

func (a answer) mediaType() string {
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		return "no content type"
	}
	return kind
}
