package real

import (
	"testing"

	"ecr-refresh/airflowclient"
	"ecr-refresh/integration/real/peers"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// oneRightLess: API users that lack one of the two rights. SimpleAuthManager knows no single rights; its viewer is
// tested with the other copies.
func (w *world) oneRightLess(t *testing.T) {
	for user, right := range map[string]string{"reader": "can_edit", "editor": "can_read"} {
		t.Run("no "+right, func(t *testing.T) { t.Parallel(); w.lacks(t, user, right) })
	}
}

// lacks: the log of the red task names the right and a command, and after that command the task is green.
func (w *world) lacks(t *testing.T, user, right string) {
	login := w.Airflow.Users[user]
	w.setAPIConnection(t, "airflow-"+user, login.User, login.Password)
	d := w.copy(t, user, peers.SandboxHost, `"airflow-api"`, `"airflow-`+user+`"`)
	r := d.run(t)
	r.wantRed(t, update, "2", "airflow answered 403", "the account needs "+right,
		"airflow roles add-perms ROLE -r 'Connections' -a "+right)
	d.wantOld(t)

	_, err := w.Airflow.CLI(t.Context(), "roles", "add-perms", "ecr_"+user, "-r", "Connections", "-a", right)
	must(t, err)
	r = r.again(t, update)
	if got := r.tasks(t)[update].State; got != "success" {
		t.Errorf("%s is %s after the command, want success; its log:\n%s", update, got, r.log(t, update))
	}
}

// readyMadeToken: a token that Airflow gave to somebody else serves instead of a login, and is still good afterwards.
func (w *world) readyMadeToken(t *testing.T) {
	given := w.token(t, "op")
	// Not by the bulk API: before 3.3 its audit log keeps a Variable's value in clear, whatever the Variable's name.
	_, err := w.Airflow.CLI(t.Context(), "variables", "set", "test_airflow_token", given)
	must(t, err)
	must(t, w.Airflow.SetConnection(t.Context(),
		peers.Connection{ID: "airflow-nobody", Type: "http", Host: new("127.0.0.1"), Port: &w.Airflow.Port}))
	d := w.copy(t, "token", peers.SandboxHost, `"airflow-api"`, `"airflow-nobody"`, `"ecr_refresh_airflow_token"`,
		`"test_airflow_token"`)
	for range 2 {
		r := d.run(t)
		r.wantGreen(t)
		r.wantNoPiece(t, given, w.newestToken(t))
	}
	w.wantNoEntry(t, d.connection, given+"x",
		"the bearer token is rejected: airflow answered 403: Invalid JWT token")
	w.wantNoEntry(t, d.connection, w.token(t, "viewer"), "airflow answered 403: Forbidden")
}

func (w *world) token(t *testing.T, user string) string {
	t.Helper()
	given, err := w.Airflow.Token(w.Airflow.Users[user])
	must(t, err)
	w.secrets.add(given)
	return given
}

// wantNoEntry fails unless the connection cannot be read with this token, for this reason.
func (w *world) wantNoEntry(t *testing.T, id, given, reason string) {
	t.Helper()
	client, err := airflowclient.New(airflowclient.Config{BaseURL: w.Airflow.URL, Token: secret.New(given)})
	must(t, err)
	_, err = client.Connection(t.Context(), id)
	if err == nil || err.Error() != reason || !failure.IsPermanent(err) {
		t.Errorf("got %v, want %s, for good", err, reason)
	}
}
