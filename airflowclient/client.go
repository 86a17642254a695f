// Package airflowclient calls the REST API of Airflow 3: it logs in, reads and writes connections (in bulk, too), pools
// and Variables, and reads DAGs and their runs. client.gen.go, generated from openapi.yaml, the part of Airflow's
// OpenAPI document that is used, has the models and a function for each request.
//
// Every error is an *Error in the end: it has a kind and facts, and no advice. No error and no log line holds a
// password, a JWT or a body: Airflow repeats the input of a request that fails validation, so its message is picked out
// and scrubbed.
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
	"strings"
	"sync"
	"time"
	"unicode"
)

// Config says where Airflow's API is and who logs in, or with which token.
type Config struct {
	BaseURL  string       // scheme://host[:port][/base/path]
	Login    string       // user name
	Password Secret       // of that user
	Token    Secret       // a bearer token from elsewhere: Login and Password are not used then
	Account  string       // the caller's name for these three, which errors repeat as their Object
	TLS      *tls.Config  // nil: the system's certificates, TLS 1.2 or newer
	Log      *slog.Logger // debug lines only, never a body; nil: none
}

// Client is one login to one Airflow. It may be used by several goroutines at once.
type Client struct {
	config            Config
	server            string // BaseURL with one slash at its end
	http              *http.Client
	shortest, longest time.Duration // a wait between two attempts, times their number
	scrubber          scrubber

	mu  sync.Mutex // held while logging in: one login serves all callers
	jwt Secret
}

// New checks cfg and returns a client. Nothing is sent before the first call.
func New(cfg Config) (*Client, error) {
	base, err := baseURL(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	cfg.BaseURL, cfg.Password, cfg.Token = base, orEmpty(cfg.Password), orEmpty(cfg.Token)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	// net/http would report a line break as a failure of the network.
	if strings.ContainsFunc(cfg.Token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, failf(TokenRejected, 0, cfg.Account,
			"the bearer token holds a space, a line break or another character that no token has")
	}
	c := &Client{
		config: cfg, server: base + "/", http: newHTTP(cfg.TLS), jwt: hide(""),
		shortest: 500 * time.Millisecond, longest: 1250 * time.Millisecond,
	}
	c.scrubber.add(cfg.Password)
	c.scrubber.add(cfg.Token)
	return c, nil
}

// BaseURL returns the base URL in use, without a slash at its end.
func (c *Client) BaseURL() string { return c.config.BaseURL }

// baseURL checks raw. Its errors never repeat it: a URL with user information holds a password.
func baseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", failf(BadBaseURL, 0, "", "airflow's base URL cannot be read as a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", failf(BadBaseURL, 0, "", "airflow's base URL has scheme %q, want http or https", u.Scheme)
	case u.Hostname() == "":
		return "", failf(BadBaseURL, 0, "", "airflow's base URL has no host")
	case u.User != nil:
		return "", failf(BadBaseURL, 0, "", "airflow's base URL holds a user name or a password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", failf(BadBaseURL, 0, "", "airflow's base URL has a query or a fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Version is Airflow's release, and its clock.
type Version struct {
	Version string
	Date    time.Time // when Airflow answered, by its own clock; zero where it did not say
}

// Version returns the release, without a login.
func (c *Client) Version(ctx context.Context) (Version, error) {
	a, err := c.exchange(ctx, "")(NewGetVersionRequest(c.server))
	if err != nil {
		return Version{}, err
	}
	var info VersionInfo
	if err := c.decode(a, &info); err != nil {
		return Version{}, err
	}
	date, _ := http.ParseTime(a.Header.Get("Date")) // zero for none
	return Version{Version: line(info.Version), Date: date}, nil
}

// call returns a function that takes what a generated function returns: a request. It sends that with a bearer token
// and decodes the answer, which must be 200 or 201 and JSON, into out.
func (c *Client) call(ctx context.Context, out any) func(*http.Request, error) error {
	return c.find(ctx, out, "")
}

// find is a call about the object that the last of names names; the others stand before it in the path. A 404 whose
// message has that name is an error of kind none; that of an unknown route has not.
func (c *Client) find(ctx context.Context, out any, none Kind, names ...string) func(*http.Request, error) error {
	return func(req *http.Request, err error) error {
		for _, name := range names {
			if name == "" || name == "." || name == ".." || strings.ContainsFunc(name, leavesPath) {
				return failf(BadName, 0, cut(name), "%q cannot stand in a path of airflow's API", cut(name))
			}
		}
		a, err := c.authorized(ctx, req, err)
		if err != nil {
			return err
		}
		if a.StatusCode == http.StatusNotFound && len(names) > 0 && mentions(a.message(), names[len(names)-1]) {
			return notFound(none, names[len(names)-1])
		}
		return c.decode(a, out)
	}
}

func leavesPath(r rune) bool { return r == '/' || unicode.IsControl(r) }

// answer is what Airflow answered, read to its end.
type answer struct {
	*http.Response
	body []byte
}

// exchange returns a function that sends a request, with bearer where that is not empty. A status that reports a
// failure is an answer, not an error.
func (c *Client) exchange(ctx context.Context, bearer string) func(*http.Request, error) (answer, error) {
	return func(req *http.Request, err error) (answer, error) {
		var resp *http.Response
		if err == nil {
			resp, err = c.send(req.WithContext(ctx), bearer)
		}
		if err != nil {
			return answer{}, c.unanswered(ctx, err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body) // in memory already: see bounded
		return answer{resp, body}, nil
	}
}

// decode reads a good answer. 200 alone proves nothing: below a wrong base path Airflow answers 200 with its web page.
// The message of encoding/json is dropped, since it may quote the body.
func (c *Client) decode(a answer, out any) error {
	status := a.StatusCode
	switch {
	case status != http.StatusOK && status != http.StatusCreated:
		return c.failed(a)
	case !a.isJSON():
		return failf(NotAirflow, status, "", "airflow answered %d with %s instead of JSON", status, line(a.mediaType()))
	case json.Unmarshal(a.body, out) != nil:
		return failf(NotAirflow, status, "", "airflow answered %d with JSON of another shape than Airflow 3's", status)
	}
	return nil
}

func (a answer) isJSON() bool { return a.mediaType() == "application/json" }

func (a answer) mediaType() string {
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return cmp.Or(kind, "no content type")
}
