package real

import (
	"testing"

	"ecr-refresh/integration/real/peers"
)

// lacks: an API user lacks one of the two rights. The log of the red task names it and a command, and after that
// command the task is green. SimpleAuthManager knows no single rights; its viewer is tested with the other copies.
func (w *world) lacks(user, right string) func(*testing.T) {
	return func(t *testing.T) {
		w.setAPI(t, "airflow-"+user, w.Airflow.Users[user], w.Airflow.URL)
		r := w.copy(t, user, variant{api: "airflow-" + user}).run(t)
		r.wantRed(t, update, 2, "airflow answered 403", "the account of connection airflow-"+user+" needs "+right,
			"airflow roles add-perms ROLE -r 'Connections' -a "+right)

		w.addRights(t, "ecr_"+user, "-r", "Connections", "-a", right)
		r.again(t, update)
		if got := r.tasks(t)[update].State; got != "success" {
			t.Errorf("%s is %s after the command, want success; its log:\n%s", update, got, r.log(t, update))
		}
	}
}

// addRights gives a role of FAB rights by Airflow's own command line.
func (w *world) addRights(t *testing.T, role string, rights ...string) {
	t.Helper()
	_, err := w.Airflow.CLI(t.Context(), append([]string{"roles", "add-perms", role}, rights...)...)
	must(t, err)
}

// readyMadeToken: a token that Airflow gave to somebody else serves instead of a login, and is still good afterwards.
func (w *world) readyMadeToken(t *testing.T) {
	given := w.token(t, "op")
	must(t, w.Airflow.SetVariable(t.Context(), "test_airflow_token", given))
	w.setAPI(t, "airflow-nobody", peers.Login{}, w.Airflow.URL)
	r := w.copy(t, "token", variant{api: "airflow-nobody",
		edits: []string{`"ecr_refresh_airflow_token"`, `"test_airflow_token"`}}).run(t)
	r.wantGreen(t)
	r.wantNoPiece(t, given, w.newestToken(t))
	if !w.accepts(t, "Bearer "+given) {
		t.Error("the step has revoked a token that is not its own")
	}

	h := w.shell(t, "token")
	h.Extract(t).Want(t, 0)
	for given, reason := range map[string]string{
		given + "x":          "the bearer token is rejected: airflow answered 403: Invalid JWT token",
		w.token(t, "viewer"): "airflow answered 403: Forbidden",
	} {
		h.Update(t, "ECR_REFRESH_AIRFLOW_TOKEN="+given).Want(t, 2, reason)
	}
	h.WantOld(t)
}

// token logs a user in.
func (w *world) token(t *testing.T, user string) string {
	t.Helper()
	given, err := w.Airflow.Token(w.Airflow.Users[user])
	must(t, err)
	w.secrets.add(given)
	return given
}
