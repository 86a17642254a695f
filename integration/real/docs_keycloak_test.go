package real

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/readme"
	"ecr-refresh/integration/sandbox/suite"
)

// keycloak follows docs/deploy/keycloak.md, on an Airflow that is set up already: role, user and connection of the page
// get other names.
func (w *world) keycloak(t *testing.T) {
	user := peers.Login{User: "user-of-the-page", Password: "password-of-the-page"}
	client := w.Airflow.Keycloak().Client
	w.secrets.add(user.Password)
	w.secrets.add(client.Password)
	h := w.shell(t, "keycloak")
	h.Extract(t).Want(t, 0)
	t.Run("unanimous", func(t *testing.T) { w.unanimous(t, h) })
	t.Run("commands of the page", func(t *testing.T) { w.keycloakPage(t, user) })
	t.Run("least privilege", func(t *testing.T) {
		h.Update(t, asUser(user)...).Want(t, 0, "has the new token")
		w.wantLeastPrivilege(t, user)
	})
	t.Run("wrong password", func(t *testing.T) {
		code, answer := w.WrongLogin()
		h.Update(t, asUser(peers.Login{User: user.User, Password: "wrong"})...).
			Want(t, code, answer, "check login and password of connection airflow-api")
	})
	t.Run("client credentials", func(t *testing.T) { w.clientCredentials(t, h, client) })
}

func asUser(login peers.Login, more ...string) []string {
	return append(more, "ECR_REFRESH_AIRFLOW_LOGIN="+login.User, "ECR_REFRESH_AIRFLOW_PASSWORD="+login.Password)
}

// unanimous: with Keycloak's default decision strategy, whoever has one role is refused everything.
func (w *world) unanimous(t *testing.T, h suite.Shell) {
	must(t, w.Airflow.Keycloak().SetDecisionStrategy(t.Context(), "UNANIMOUS"))
	for _, role := range []string{"operator", "admin", "op"} {
		h.Update(t, w.As(role)...).Want(t, 2, "airflow answered 403: Forbidden",
			"hint: the account needs GET and LIST on Connection", "decision strategy must be Affirmative")
	}
}

// keycloakPage pastes all blocks of the page into one shell.
func (w *world) keycloakPage(t *testing.T, user peers.Login) {
	k := w.Airflow.Keycloak()
	env := append(w.Airflow.Environ(), "KC_CLI_PASSWORD="+k.Admin.Password, "HOME="+t.TempDir())
	for i, entry := range env {
		if path, is := strings.CutPrefix(entry, "PATH="); is {
			env[i] = "PATH=" + filepath.Join(k.Home, "bin") + string(os.PathListSeparator) + path
		}
	}
	out, err := readme.Paste(page(t, "deploy/keycloak.md", "keycloak"), t.TempDir(), env,
		"https://keycloak.example.com", k.URL, "https://airflow.example.com:8443", w.Airflow.URL,
		"REFRESHER-PASSWORD", user.Password, "CLIENT-SECRET", k.Client.Password,
		"refresher", user.User, "ecr_refresh", "role_of_the_page", "airflow-api", "airflow-client")
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// wantLeastPrivilege: the user may do nothing but what refreshing takes.
func (w *world) wantLeastPrivilege(t *testing.T, user peers.Login) {
	token, err := w.Airflow.Token(user)
	must(t, err)
	if len(token) < 2_500 {
		t.Errorf("the JWT has %d characters: it is expected to hold two tokens of Keycloak", len(token))
	}
	w.secrets.add(token)
	for call, want := range map[string]int{
		"GET /api/v2/connections/docker_default":    200,
		"GET /api/v2/connections":                   200,
		"DELETE /api/v2/connections/docker_default": 403,
		"POST /api/v2/connections":                  403,
		"GET /api/v2/variables/ecr_aws_account":     403,
		"GET /api/v2/pools/systemqueue":             403,
		"GET /api/v2/dags/" + deployedDAG:           403,
	} {
		method, path, _ := strings.Cut(call, " ")
		body := strings.NewReader(`{"connection_id":"more","conn_type":"docker"}`)
		req, err := http.NewRequestWithContext(t.Context(), method, w.Airflow.URL+path, body)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", call, resp.StatusCode, want)
		}
	}
}

// clientCredentials: the connection of the page serves the DAG, and the same in a shell.
func (w *world) clientCredentials(t *testing.T, h suite.Shell, client peers.Login) {
	r := w.copy(t, "client", variant{api: "airflow-client"}).run(t)
	r.wantGreen(t)
	r.wantNoPiece(t, client.Password, w.newestToken(t))

	none := asUser(peers.Login{}, "ECR_REFRESH_AIRFLOW_HOST=", "ECR_REFRESH_AIRFLOW_PORT=")
	address := fmt.Sprintf("%s:%s@127.0.0.1:%d", client.User, client.Password, w.Airflow.Port)
	const grant = "ECR_REFRESH_AIRFLOW_GRANT_TYPE="
	for _, given := range [][]string{
		asUser(client, grant+"client_credentials"),
		slices.Concat(none, []string{"AIRFLOW_CONN_AIRFLOW_API=http://" + address +
			"/http?grant_type=client_credentials"}),
		slices.Concat(none, []string{fmt.Sprintf(`AIRFLOW_CONN_AIRFLOW_API={"conn_type": "http", "host": "127.0.0.1", `+
			`"port": %d, "login": %q, "password": %q, "extra": {"grant_type": "client_credentials"}}`,
			w.Airflow.Port, client.User, client.Password)}),
	} {
		h.Update(t, given...).Want(t, 0, "has the new token")
	}
	const refused = "airflow answered 403: Client credentials authentication failed"
	const check = "check client id and secret (login and password, with grant_type client_credentials) of connection"
	h.Update(t, asUser(peers.Login{User: client.User, Password: "wrong"}, grant+"client_credentials")...).
		Want(t, 2, refused, check)
	h.Update(t, asUser(w.Airflow.Users["op"], grant+"client_credentials")...).Want(t, 2, refused, check)
	h.Update(t, asUser(client, grant+"client")...).Want(t, 2, `grant_type "client" is neither password nor`,
		"correct grant_type in the extra of connection airflow-api (ECR_REFRESH_AIRFLOW_GRANT_TYPE)")
}
