package peers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// keycloakRelease is what install.sh installs, unless KEYCLOAK names another one.
const keycloakRelease = "26.7.3"

// What the realm has, by the names that docs/deploy/keycloak.md uses: Airflow's client, and the role of those who may
// do no more than refresh connections.
const (
	realm           = "airflow"
	keycloakClient  = "airflow"
	leastPrivileged = "ecr_refresh"
)

// Keycloak is a real Keycloak with its database in memory, and the auth manager that asks it: provider
// apache-airflow-providers-keycloak.
type Keycloak struct {
	URL    string
	Admin  Login // of realm master
	Client Login // id and secret of Airflow's client
	Home   string

	port int
	dir  string
	proc *process
}

func newKeycloak(dir string) (*Keycloak, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	k := &Keycloak{Admin: Login{"admin", rand.Text()}, Client: Login{keycloakClient, rand.Text()}, dir: dir}
	release := os.Getenv("KEYCLOAK")
	if release == "" {
		release = keycloakRelease
	}
	k.Home = filepath.Join(cache, "ecr-refresh", "keycloak-"+release)
	if _, err := os.Stat(k.bin("kc.sh")); err != nil {
		return nil, errors.New("the real peers need Keycloak: AUTH_MANAGER=keycloak integration/real/peers/install.sh")
	}
	k.port, err = freePort("127.0.0.1")
	k.URL = fmt.Sprintf("http://127.0.0.1:%d", k.port)
	return k, err
}

func (k *Keycloak) bin(name string) string { return filepath.Join(k.Home, "bin", name) }

func (*Keycloak) users() map[string]string {
	return map[string]string{"admin": "admin", "op": "refresher", "viewer": "viewer", "user": "user",
		"operator": "operator"}
}

// keycloakRoles are the roles of the users: all but one are those that the provider's command gives permissions.
func keycloakRoles() map[string]string {
	return map[string]string{"admin": "Admin", "op": leastPrivileged, "viewer": "Viewer", "user": "User",
		"operator": "Op", "": "SuperAdmin"}
}

func (k *Keycloak) settings() []string {
	const section = "AIRFLOW__KEYCLOAK_AUTH_MANAGER__"
	return []string{
		"AIRFLOW__CORE__AUTH_MANAGER=airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager",
		section + "SERVER_URL=" + k.URL, section + "REALM=" + realm,
		section + "CLIENT_ID=" + k.Client.User, section + "CLIENT_SECRET=" + k.Client.Password,
	}
}

func (k *Keycloak) start(ctx context.Context) (err error) {
	env := cleanEnv("KC_BOOTSTRAP_ADMIN_USERNAME="+k.Admin.User, "KC_BOOTSTRAP_ADMIN_PASSWORD="+k.Admin.Password,
		"JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1") // starts sooner
	k.proc, err = start("keycloak", k.dir, env, k.bin("kc.sh"), "start", "--optimized", "--http-enabled=true",
		"--hostname-strict=false", "--http-host=127.0.0.1", fmt.Sprintf("--http-port=%d", k.port))
	if err != nil {
		return err
	}
	return k.proc.ready(ctx, func(ctx context.Context) error { _, err := k.token(ctx); return err })
}

func (k *Keycloak) stop() {
	if k.proc != nil {
		k.proc.stop()
	}
}

// prepare makes realm, client, roles and users, and then the permissions: those of the provider's command, and those
// that docs/deploy/keycloak.md adds.
func (k *Keycloak) prepare(ctx context.Context, a *Airflow) error {
	if err := k.Call(ctx, "POST", "", k.realm(a.Users), nil); err != nil {
		return err
	}
	err := a.commands(ctx, [][]string{{"keycloak-auth-manager", "create-all",
		"--username", k.Admin.User, "--password", k.Admin.Password}})
	if err != nil {
		return err
	}
	type object = map[string]any
	const policy = "Allow-" + leastPrivileged
	role := object{"name": policy, "roles": []object{{"id": leastPrivileged}}}
	err = k.Authorization(ctx, "POST", "policy/role", role)
	if err != nil {
		return err
	}
	return errors.Join(k.SetDecisionStrategy(ctx, "AFFIRMATIVE"),
		k.Authorization(ctx, "POST", "permission/scope", object{"name": leastPrivileged, "policies": []string{policy},
			"resources": []string{"Connection"}, "scopes": []string{"GET", "LIST", "PUT"}}))
}

// realm is the representation of the realm with all users.
func (k *Keycloak) realm(users map[string]Login) map[string]any {
	type object = map[string]any
	var roles, all []object
	for kind, role := range keycloakRoles() {
		roles = append(roles, object{"name": role})
		if user := users[kind]; user.User != "" {
			all = append(all, object{"username": user.User, "enabled": true, "realmRoles": []string{role},
				"firstName": "ECR", "lastName": "refresh", "email": user.User + "@example.com",
				"credentials": []object{{"type": "password", "value": user.Password}}})
		}
	}
	// A test reads with one login for as long as it runs, in seconds: Keycloak's own limits are 5 and 30 minutes.
	const long = 36_000
	return object{"realm": realm, "enabled": true, "accessTokenLifespan": long, "ssoSessionIdleTimeout": long,
		"roles": object{"realm": roles}, "users": all,
		"clients": []object{{"clientId": k.Client.User, "secret": k.Client.Password, "enabled": true,
			"standardFlowEnabled": true, "directAccessGrantsEnabled": true, "serviceAccountsEnabled": true,
			"authorizationServicesEnabled": true, "redirectUris": []string{"http://127.0.0.1:*"}}}}
}

// SetDecisionStrategy sets how the permissions of Airflow's client that apply to one request are combined.
func (k *Keycloak) SetDecisionStrategy(ctx context.Context, strategy string) error {
	return k.Authorization(ctx, "PUT", "", map[string]any{"decisionStrategy": strategy})
}

// Authorization calls the part of Keycloak's admin API that is about the permissions of Airflow's client.
func (k *Keycloak) Authorization(ctx context.Context, method, path string, body any) error {
	var clients []struct{ ID string }
	err := k.Call(ctx, "GET", "/"+realm+"/clients?clientId="+k.Client.User, nil, &clients)
	if err != nil || len(clients) != 1 {
		return fmt.Errorf("%d clients of Airflow: %w", len(clients), err)
	}
	whole := "/" + realm + "/clients/" + clients[0].ID + "/authz/resource-server"
	return k.Call(ctx, method, strings.TrimSuffix(whole+"/"+path, "/"), body, nil)
}

// Call calls Keycloak's admin API, below /admin/realms.
func (k *Keycloak) Call(ctx context.Context, method, path string, body, out any) error {
	token, err := k.token(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, k.URL+"/admin/realms"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	return answer(req, out)
}

// token logs the administrator in.
func (k *Keycloak) token(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {k.Admin.User},
		"password": {k.Admin.Password}}
	req, err := http.NewRequestWithContext(ctx, "POST", k.URL+"/realms/master/protocol/openid-connect/token",
		strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var created struct {
		Token string `json:"access_token"`
	}
	return created.Token, answer(req, &created)
}

// answer sends a request to Keycloak, and decodes what it answers unless out is nil.
func answer(req *http.Request, out any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("keycloak answers %s %s with %d: %s", req.Method, req.URL.Path, resp.StatusCode, text)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}
