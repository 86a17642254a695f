package peers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The auth managers that Options.AuthManager names.
const (
	SimpleAuthManager   = "simple"
	FABAuthManager      = "fab"
	KeycloakAuthManager = "keycloak"
)

// Login is a user of Airflow.
type Login struct{ User, Password string }

// authManager decides who may do what in an Airflow.
type authManager interface {
	users() map[string]string // user names by what they may do: admin, op, viewer, and more where rights are finer
	settings() []string
	start(ctx context.Context) error // starts what keeps users and rights, if that is not Airflow
	stop()
	prepare(ctx context.Context, a *Airflow) error // makes the users, when there is a database
}

// inAirflow is an auth manager that keeps users and rights in Airflow.
type inAirflow struct{}

func (inAirflow) start(context.Context) error { return nil }

func (inAirflow) stop() {}

func newAuthManager(name string, a *Airflow) (authManager, error) {
	switch name {
	case "", SimpleAuthManager:
		return simple{passwords: a.path("passwords.json")}, nil
	case FABAuthManager:
		return fab{}, nil
	case KeycloakAuthManager:
		return newKeycloak(filepath.Dir(a.Home))
	}
	const form = "auth manager %q: want %s, %s or %s"
	return nil, fmt.Errorf(form, name, SimpleAuthManager, FABAuthManager, KeycloakAuthManager)
}

// simple is Airflow's default, with a role for each user in its settings.
type simple struct {
	inAirflow
	passwords string
}

func (simple) users() map[string]string {
	return map[string]string{"admin": "admin", "op": "refresher", "user": "user", "viewer": "viewer"}
}

func (s simple) settings() []string {
	var users []string
	for role, user := range s.users() {
		users = append(users, user+":"+role)
	}
	return []string{
		"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=" + strings.Join(users, ","),
		"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=" + s.passwords,
	}
}

func (s simple) prepare(_ context.Context, a *Airflow) error {
	passwords := map[string]string{}
	for _, login := range a.Users {
		passwords[login.User] = login.Password
	}
	text, err := json.Marshal(passwords)
	if err != nil {
		return err
	}
	return os.WriteFile(s.passwords, text, 0o600)
}

// fab is the auth manager of the provider apache-airflow-providers-fab. Its rights are as fine as the tool's own needs:
// op may read and edit connections, reader and editor one of the two.
type fab struct{ inAirflow }

func (fab) users() map[string]string {
	return map[string]string{"admin": "admin", "op": "refresher", "viewer": "viewer", "reader": "reader",
		"editor": "editor"}
}

// fabRoles are the roles of FAB's users; those in small letters are made here.
func fabRoles() map[string]string {
	return map[string]string{"admin": "Admin", "op": "ecr_refresh", "viewer": "Viewer", "reader": "ecr_reader",
		"editor": "ecr_editor"}
}

func (fab) settings() []string {
	return []string{
		"AIRFLOW__CORE__AUTH_MANAGER=airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
		// A thread of the API server keeps its session of FAB's, and then waits for a second connection: of the 15 that
		// there are by default, none is left (as in https://github.com/apache/airflow/issues/56129).
		"AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE=40",
		"AIRFLOW__FAB__CACHE_TTL=1", // seconds for which it remembers a user's rights; 30 by default
	}
}

// prepare makes roles and users by the commands of Airflow's command line that the README shows.
func (fab) prepare(ctx context.Context, a *Airflow) error {
	commands := [][]string{
		{"roles", "create", "ecr_refresh"},
		{"roles", "add-perms", "ecr_refresh", "-r", "Connections", "-a", "can_read", "can_edit"},
		{"roles", "create", "ecr_reader", "ecr_editor"},
		{"roles", "add-perms", "ecr_reader", "-r", "Connections", "-a", "can_read"},
		{"roles", "add-perms", "ecr_editor", "-r", "Connections", "-a", "can_edit"},
	}
	for _, kind := range slices.Sorted(maps.Keys(a.Users)) {
		user := a.Users[kind]
		commands = append(commands, []string{"users", "create",
			"--username", user.User, "--password", user.Password, "--role", fabRoles()[kind],
			"--firstname", "ECR", "--lastname", "refresh", "--email", user.User + "@example.com"})
	}
	return a.commands(ctx, commands)
}

const severalCommands = `
import json, sys
from airflow.__main__ import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["airflow", *command]
    main()
`

// commands runs several of Airflow's command lines in one process: each would spend seconds on its start.
func (a *Airflow) commands(ctx context.Context, commands [][]string) error {
	text, err := json.Marshal(commands)
	if err != nil {
		return err
	}
	if _, err := a.python(ctx, severalCommands, string(text)); err != nil {
		return fmt.Errorf("make airflow's users: %w", err)
	}
	return nil
}

// newLogins sets a password for each user.
func newLogins(users map[string]string) map[string]Login {
	logins := map[string]Login{}
	for kind, user := range users {
		logins[kind] = Login{user, rand.Text()}
	}
	return logins
}

// Token logs a user in anew, and returns the bearer token.
func (a *Airflow) Token(user Login) (string, error) {
	return newRestClient(a.URL, user).token()
}
