// Package airflowclient calls the REST API of Airflow 3: it logs in, reads and writes connections (in bulk, too), pools
// and Variables, and reads DAGs and their runs. client.gen.go, generated from openapi.yaml, the part of Airflow's
// OpenAPI document that is used, has the models and a function for each request.
//
// No error and no log line holds a password, a JWT or a body: Airflow repeats what fails validation, so its message is
// picked out and scrubbed.
package airflowclient

//go:generate go tool oapi-codegen -config oapi-codegen.yaml openapi.yaml

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/untrusted"
)

// Config says where Airflow's API is and who logs in, or with which token.
type Config struct {
	BaseURL  string         // scheme://host[:port][/base/path]
	Login    string         // user name
	Password secret.Secret  // of that user
	Token    secret.Secret  // a bearer token from elsewhere: Login and Password are not used then
	Account  string         // the caller's name for these three, which errors repeat as their Object
	Roots    *x509.CertPool // that are trusted; nil: the system's
	Log      *slog.Logger   // debug lines only, never a body; nil: none

	GrantType string // "", password, or client_credentials: Login and Password are of a client of Keycloak
}

// Client is one login to one Airflow. It may be used by several goroutines at once.
type Client struct {
	config            Config
	server            string // BaseURL with one slash at its end
	http              *http.Client
	shortest, longest time.Duration // a wait between two attempts, times their number

	mu  sync.Mutex    // held while logging in: one login serves all callers
	jwt secret.Secret // or Config's token
}

// New checks cfg and returns a client. Nothing is sent before the first call.
func New(cfg Config) (*Client, error) {
	base, err := baseURL(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	cfg.BaseURL = base
	if !slices.Contains([]string{"", "password", "client_credentials"}, cfg.GrantType) {
		const form = "grant_type %.20q is neither password nor client_credentials"
		return nil, failure.Permanent(BadGrantType, form, cfg.GrantType)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	// net/http would report a line break as a failure of the network.
	if strings.ContainsFunc(cfg.Token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, failure.Permanent(TokenRejected, "the bearer token has blanks or odd characters").About(cfg.Account)
	}
	return &Client{
		config: cfg, server: base + "/", jwt: cfg.Token,
		http: &http.Client{
			Timeout: transport.AttemptTimeout, Transport: transport.New(cfg.Roots), CheckRedirect: transport.NoRedirect,
		},
		shortest: 500 * time.Millisecond, longest: 1250 * time.Millisecond,
	}, nil
}

// BaseURL returns the base URL in use, without a slash at its end.
func (c *Client) BaseURL() string { return c.config.BaseURL }

// baseURL checks raw. Its error never repeats it: a URL with user information holds a password.
func baseURL(raw string) (string, error) {
	wrong := "is not of the form http[s]://HOST[:PORT][/BASE/PATH]"
	u, err := url.Parse(raw)
	if err == nil {
		_, err = strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16)
	}
	switch {
	case !strings.Contains(raw, "://"):
		wrong = "has no scheme: write https:// (or http://) before it"
	case regexp.MustCompile(`/api/v[12]/*$`).MatchString(raw):
		wrong = "ends with the path of the API: leave out /api/v2"
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		u.RawQuery == "" && !u.ForceQuery && u.Fragment == "":
		return strings.TrimRight(u.String(), "/"), nil
	}
	return "", failure.Permanent(BadBaseURL, "airflow's base URL %s", wrong)
}

// Version returns Airflow's release, without a login.
func (c *Client) Version(ctx context.Context) (info VersionInfo, err error) {
	err = c.exchange(ctx, "", &info)(NewGetVersionRequest(c.server))
	info.Version = untrusted.New(info.Version).String()
	if failure.Is(err, Forbidden, JWTRejected) { // it takes neither
		err = failure.Permanent(NotAirflow, "%w", err)
	}
	return info, err
}

// call returns a function that takes what a generated function returns: a request. It sends that with a bearer token
// and decodes the answer, which must be 200 or 201 and JSON, into out. resource is what the FAB auth manager calls the
// objects. The last of names is the object's; the others stand before it in the path. The object is missing when the
// message of a 404 has its name; that of an unknown route has not.
func (c *Client) call(ctx context.Context, out any, resource string, names ...string) func(*http.Request, error) error {
	return func(req *http.Request, err error) error {
		name := ""
		for _, name = range names {
			if leavesPath.MatchString(name) {
				const form = "%q cannot stand in a path of airflow's API"
				return failure.Permanent(BadName, form, untrusted.New(name)).About(untrusted.New(name).String())
			}
		}
		err = c.authorized(ctx, out, req, err)
		r := refused(err)
		if failure.Is(err, NotAirflow) && r.status == 404 && name != "" && strings.Contains(r.message.Raw(), name) {
			kinds := map[string]failure.Kind{"Connections": NoConnection, "Pools": NoPool, "Variables": NoVariable,
				"XComs": NoXCom}
			return notFound(cmp.Or(kinds[resource], NoDAG), name)
		}
		if failure.Is(err, Forbidden) {
			rights := map[string]string{"GET": "read", "POST": "create", "PATCH": "edit", "DELETE": "delete"}
			return c.forbidden(err, resource, "can_"+rights[req.Method])
		}
		return err
	}
}

// leavesPath matches what is no name below a path.
var leavesPath = regexp.MustCompile(`^\.{0,2}$|[/\pC]`)

// Delete deletes one of the Connections, Pools or Variables, or returns ErrNotFound.
func (c *Client) Delete(ctx context.Context, resource, name string) error {
	request := map[string]func(server, name string) (*http.Request, error){
		"Connections": NewDeleteConnectionRequest, "Pools": NewDeletePoolRequest, "Variables": NewDeleteVariableRequest,
	}[resource]
	return c.call(ctx, nil, resource, name)(request(c.server, name))
}
