package airflowclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

// authorized sends with a bearer token. When Airflow rejects the JWT of a login (it expired, was revoked, or the server
// has a new key), it logs in once more and sends once more.
func (c *Client) authorized(ctx context.Context, out any, req *http.Request, err error) error {
	for stale := ""; ; {
		bearer, failed := c.login(ctx, stale)
		if failed != nil {
			return failed
		}
		failed = c.exchange(ctx, bearer, out)(req, err)
		switch {
		case !failure.Is(failed, JWTRejected):
			return failed
		case bearer == c.config.Token.Reveal():
			return failure.Permanent(TokenRejected, "the bearer token is rejected: %w", failed).About(c.config.Account)
		case stale != "":
			return failure.Permanent(JWTRejected, "the JWT of a new login is rejected: %w", failed)
		}
		stale = bearer
	}
}

// login returns a JWT other than stale: the one at hand, which may be Config's token, or that of a new login.
func (c *Client) login(ctx context.Context, stale string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if jwt := c.jwt.Reveal(); jwt != "" && jwt != stale {
		return jwt, nil
	}
	jwt, err := c.createToken(ctx)
	if err != nil {
		return "", fmt.Errorf("log in as %q: %w", c.config.Login, err)
	}
	c.jwt = secret.New(jwt)
	return jwt, nil
}

// createToken sends the password. 201 is what Airflow answers today, 200 what older auth managers may. That of Keycloak
// answers 403 to a wrong one, but 500 with Keycloak 26.6 and newer, whose 400 (once 401) it does not expect
// (create_token_for of provider 0.11.2). Others answer 400 or 422 to client credentials.
func (c *Client) createToken(ctx context.Context) (string, error) {
	login, password, rejected := c.config.Login, c.config.Password.Reveal(), []int{400, 401, 403}
	body := map[string]string{"username": login, "password": password}
	if grant := c.config.GrantType; grant == "client_credentials" {
		body = map[string]string{"grant_type": grant, "client_id": login, "client_secret": password}
		rejected = append(rejected, 422)
	}
	text, _ := json.Marshal(body) // strings
	var created LoginResponse
	err := c.exchange(ctx, "", &created)(
		NewCreateTokenRequestWithBody(c.server, "application/json", bytes.NewReader(text)))
	switch status := refused(err).status; {
	case err == nil && created.AccessToken == "":
		err = failure.Permanent(NotAirflow, "airflow answered without a token")
	case slices.Contains([]int{404, 405}, status):
		err = failure.Permanent(NoLoginEndpoint, "%w", err)
	case status == 500:
		err = failure.Transient(LoginFailed, "%w", err).About(c.config.Account)
	case slices.Contains(rejected, status) && !failure.Is(err, NotAirflow):
		err = failure.Permanent(LoginRejected, "%w", err).About(c.config.Account)
	}
	return created.AccessToken, err
}

// forbidden adds to err which right is missing, and which auth manager grants it. The JWTs of FAB have only sub beside
// what Airflow adds to each; the SimpleAuthManager adds role, Keycloak's its own tokens (serialize_user, or
// generate_api_jwt, in each one).
func (c *Client) forbidden(err error, object, right string) error {
	kind := Forbidden
	c.mu.Lock()
	of := claims(c.jwt.Reveal())
	c.mu.Unlock()
	for _, common := range []string{"sub", "iss", "aud", "nbf", "exp", "iat", "jti"} {
		delete(of, common)
	}
	switch {
	case of["role"] != nil:
		kind = ForbiddenBySimple
	case of["access_token"] != nil: // scopes and resources, of which Dag has runs, results and events, too
		kind = ForbiddenByKeycloak
		ours := map[string]string{"Connections": "Connection", "Pools": "Pool", "Variables": "Variable",
			"ImportError": "View",
			"can_read":    "GET and LIST", "can_create": "POST", "can_edit": "PUT", "can_delete": "DELETE"}
		object, right = cmp.Or(ours[object], "Dag"), ours[right]
	case of != nil && len(of) == 0:
		kind = ForbiddenByFAB
	}
	return failure.Permanent(kind, "%w", err).About(object).Want(right)
}

// claims returns what a JWT says of its owner; nil for a token of another kind.
func claims(jwt string) (all map[string]any) {
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(jwt+".", ".")[1])
	_ = json.Unmarshal(payload, &all)
	return all
}

// SimpleRole logs in and returns the role that the SimpleAuthManager wrote into the JWT: viewer, user, op or admin. The
// JWTs of other auth managers name no role: it returns "".
func (c *Client) SimpleRole(ctx context.Context) (string, error) {
	jwt, err := c.login(ctx, "")
	role, _ := claims(jwt)["role"].(string)
	return untrusted.New(role).String(), err
}

// Logout revokes the JWT and forgets it. It is best effort, takes two seconds at most, and works where ctx has ended:
// the JWT expires in a day anyway. It does nothing when nobody is logged in, and for a nil client: a token of Config is
// its owner's to revoke. Airflow answers with a redirect to its login page, which is not followed.
func (c *Client) Logout(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // SIGKILL comes 5 s after SIGTERM
	defer cancel()
	c.mu.Lock()
	jwt := c.jwt.Reveal()
	c.jwt = c.config.Token
	c.mu.Unlock()
	if jwt == c.config.Token.Reveal() { // nobody is logged in
		return nil
	}
	req, err := NewLogoutRequest(c.server)
	if err == nil { // Airflow 3.2 revokes only the JWT of a cookie (logout in core_api/routes/public/auth.py)
		req.AddCookie(&http.Cookie{Name: "_token", Value: jwt}) // #nosec G124 -- a request carries no attributes
	}
	if err = c.exchange(ctx, jwt, new(any))(req, err); failure.Is(err, NotAirflow, JWTRejected) {
		return nil // a rejected JWT needs no revocation
	}
	return err
}
