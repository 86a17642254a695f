package airflowclient

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// authorized sends with a bearer token. When Airflow rejects the JWT of a login (it expired, was revoked, or the server
// has a new key), it logs in once more and sends once more.
func (c *Client) authorized(ctx context.Context, req *http.Request, err error) (answer, error) {
	for stale := ""; ; {
		bearer, failed := c.login(ctx, stale)
		if failed != nil {
			return answer{}, failed
		}
		a, failed := c.exchange(ctx, bearer)(req, err)
		switch {
		case failed != nil || !a.rejectsJWT():
			return a, failed
		case !c.config.Token.Empty():
			return a, c.fault(TokenRejected, a, "the bearer token is rejected: ")
		case stale != "":
			return a, c.fault(JWTRejected, a, "the JWT of a new login is rejected: ")
		}
		stale = bearer
	}
}

// rejectsJWT tells a JWT that is rejected from a right that is missing. Airflow answers 401 "Token Expired" or
// "Not authenticated" and 403 "Invalid JWT token" for the first, 403 "Forbidden" for the second
// (resolve_user_from_token in airflow/api_fastapi/core_api/security.py).
func (a answer) rejectsJWT() bool {
	return a.StatusCode == http.StatusUnauthorized ||
		a.StatusCode == http.StatusForbidden && a.message() == "Invalid JWT token"
}

// login returns Config's token, or a JWT other than stale: the one at hand, or that of a new login.
func (c *Client) login(ctx context.Context, stale string) (string, error) {
	if token := c.config.Token.Reveal(); token != "" {
		return token, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if jwt := c.jwt.Reveal(); jwt != "" && jwt != stale {
		return jwt, nil
	}
	jwt, err := c.createToken(ctx)
	if err != nil {
		return "", fmt.Errorf("log in as %q: %w", c.config.Login, err)
	}
	c.jwt = hide(jwt)
	c.scrubber.add(c.jwt)
	return jwt, nil
}

// createToken sends the password. 201 is what Airflow answers today, 200 what older auth managers may.
func (c *Client) createToken(ctx context.Context) (string, error) {
	body := LoginBody{Username: c.config.Login, Password: c.config.Password.Reveal()}
	a, err := c.exchange(ctx, "")(NewCreateTokenRequest(c.server, body))
	if err != nil {
		return "", err
	}
	switch s := a.StatusCode; {
	case a.isJSON() && (s == http.StatusBadRequest || s == http.StatusUnauthorized || s == http.StatusForbidden):
		return "", c.fault(LoginRejected, a, "") // 403: the Keycloak auth manager
	case s == http.StatusNotFound || s == http.StatusMethodNotAllowed:
		return "", c.fault(NoLoginEndpoint, a, "")
	}
	var created LoginResponse
	if err := c.decode(a, &created); err != nil {
		return "", err
	}
	if created.AccessToken == "" {
		return "", failf(NotAirflow, a.StatusCode, "", "airflow answered %d without a token", a.StatusCode)
	}
	return created.AccessToken, nil
}

// SimpleRole logs in and returns the role that the SimpleAuthManager wrote into the JWT: viewer, user, op or admin. The
// JWTs of other auth managers name no role: it returns "".
func (c *Client) SimpleRole(ctx context.Context) (string, error) {
	jwt, err := c.login(ctx, "")
	var claims struct{ Role string }
	if parts := strings.Split(jwt, "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims) // what is no JWT names no role
	}
	return line(claims.Role), err
}

// Logout revokes the JWT, best effort, and forgets it. It does nothing when nobody is logged in: a token of Config is
// its owner's to revoke. Airflow answers with a redirect to its login page, which is not followed.
func (c *Client) Logout(ctx context.Context) error {
	c.mu.Lock()
	jwt := c.jwt.Reveal()
	c.jwt = hide("")
	c.mu.Unlock()
	if jwt == "" {
		return nil
	}
	req, err := NewLogoutRequest(c.server)
	if err == nil { // Airflow 3.2 revokes only the JWT of a cookie (logout in core_api/routes/public/auth.py)
		req.AddCookie(&http.Cookie{Name: "_token", Value: jwt}) // #nosec G124 -- a request carries no attributes
	}
	a, err := c.exchange(ctx, jwt)(req, err)
	if err == nil && a.StatusCode >= http.StatusBadRequest && !a.rejectsJWT() { // a rejected JWT is revoked enough
		err = c.failed(a)
	}
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}
