package airflowclient

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// authorized sends with the JWT. When Airflow does not take the JWT (it expired, was revoked, or the server has a new
// key), it logs in once more and sends once more.
func (c *Client) authorized(ctx context.Context, s send) (answer, error) {
	if !c.given.Empty() {
		return c.withGiven(ctx, s)
	}
	var jwt secret.Secret
	var a answer
	for range 2 {
		var err error
		if jwt, err = c.login(ctx, jwt); err != nil {
			return answer{}, err
		}
		if a, err = c.exchange(ctx, s, bearer(jwt)); err != nil || !a.rejectsJWT() {
			return a, err
		}
	}
	return answer{}, failure.Permanent(hintJWT, "a new login changes nothing: %s", c.said(a))
}

// withGiven sends with the token that Config gave.
func (c *Client) withGiven(ctx context.Context, s send) (answer, error) {
	a, err := c.exchange(ctx, s, bearer(c.given))
	if err == nil && a.rejectsJWT() {
		err = failure.Permanent(hintToken, "the token in %sTOKEN is not taken: %s", c.env, c.said(a))
	}
	return a, err
}

// checkToken refuses what cannot stand in a header: a line break above all, which net/http would report as a failure of
// the network.
func (c *Client) checkToken() error {
	if strings.ContainsFunc(c.given.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return failure.Permanent(hintToken, "the token in %sTOKEN holds a space, a line break or another character that no token has", c.env)
	}
	return nil
}

// rejectsJWT tells a JWT that is not taken from a right that is missing. Airflow answers 401 "Token Expired" or
// "Not authenticated" and 403 "Invalid JWT token" for the first, 403 "Forbidden" for the second
// (resolve_user_from_token in airflow/api_fastapi/core_api/security.py).
func (a answer) rejectsJWT() bool {
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden && a.words() == "Invalid JWT token"
}

// login gives a JWT other than stale: the one at hand, or a new one. The first call gives the zero Secret as stale.
func (c *Client) login(ctx context.Context, stale secret.Secret) (secret.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.jwt.Empty() && !c.jwt.Equal(stale) {
		return c.jwt, nil
	}
	jwt, err := c.createToken(ctx)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("log in as %q: %w", c.user, err)
	}
	c.hidden.add(jwt)
	c.jwt = jwt
	return jwt, nil
}

// createToken sends the password. 201 is what Airflow answers today, 200 what older auth managers may.
func (c *Client) createToken(ctx context.Context) (secret.Secret, error) {
	a, err := c.exchange(ctx, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.CreateToken(ctx, LoginBody{Username: c.user, Password: c.password.Reveal()}, edit...)
	})
	if err != nil {
		return secret.Secret{}, err
	}
	switch s := a.status; {
	case a.isJSON() && (s == http.StatusBadRequest || s == http.StatusUnauthorized || s == http.StatusForbidden):
		return secret.Secret{}, failure.Permanent(c.hintLogin(), "%s", c.said(a)) // 403: the Keycloak auth manager
	case s == http.StatusNotFound || s == http.StatusMethodNotAllowed:
		return secret.Secret{}, failure.Permanent(hintNoLogin, "%s", c.said(a))
	}
	var body LoginResponse
	if err := c.decode(a, &body); err != nil {
		return secret.Secret{}, err
	}
	if body.AccessToken == "" {
		return secret.Secret{}, failure.Permanent(hintBaseURL, "airflow answered %d without a token", a.status)
	}
	return secret.New(body.AccessToken), nil
}

// hintLogin names where login and password come from.
func (c *Client) hintLogin() failure.Kind {
	if c.env == airflowEnv {
		return hintLogin
	}
	return failure.Kind("check " + c.env + "LOGIN and " + c.env + "PASSWORD")
}

// SimpleRole logs in and gives the role that the SimpleAuthManager wrote into the JWT: viewer, user, op or admin. The
// JWTs of other auth managers name no role: "".
func (c *Client) SimpleRole(ctx context.Context) (string, error) {
	jwt := c.given
	if jwt.Empty() {
		var err error
		if jwt, err = c.login(ctx, secret.Secret{}); err != nil {
			return "", err
		}
	}
	var claims struct{ Role string }
	if parts := strings.Split(jwt.Reveal(), "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims) // what is no JWT names no role
	}
	return tidy(claims.Role), nil
}

func bearer(jwt secret.Secret) RequestEditorFn {
	return func(_ context.Context, req *http.Request) error {
		req.Header.Set("Authorization", "Bearer "+jwt.Reveal())
		return nil
	}
}

// cookie sends the JWT as a browser does: Airflow 3.2 revokes only what comes so (logout in
// airflow/api_fastapi/core_api/routes/public/auth.py).
func cookie(jwt secret.Secret) RequestEditorFn {
	return func(_ context.Context, req *http.Request) error {
		req.AddCookie(&http.Cookie{Name: "_token", Value: jwt.Reveal()}) // #nosec G124 -- a request carries no attributes
		return nil
	}
}

// Logout revokes the JWT, best effort, and forgets it. It does nothing when nobody is logged in: a token that Config gave
// is its owner's to revoke. Airflow answers with a redirect to its login page, which is not followed.
func (c *Client) Logout(ctx context.Context) error {
	c.mu.Lock()
	jwt := c.jwt
	c.jwt = secret.Secret{}
	c.mu.Unlock()
	if jwt.Empty() {
		return nil
	}
	a, err := c.exchange(ctx, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.Logout(ctx, edit...)
	}, bearer(jwt), cookie(jwt))
	if err == nil && a.status >= http.StatusBadRequest && !a.rejectsJWT() { // a JWT that is not taken is revoked enough
		err = c.refused(a)
	}
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}
