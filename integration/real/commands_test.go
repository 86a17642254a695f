package real

import (
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/real/peers"
)

// TestRealSetup starts with an empty Airflow: ecr-refresh setup makes what the DAG needs, and so do the commands that
// it prints.
func TestRealSetup(t *testing.T) {
	w := startEmpty(t)
	s := setupSite{w, "op"}
	s.want(t, 0, all("would create", ""), "--dry-run")
	wrote := s.want(t, 0, all("created", ""))
	account := `"simple_role":"op","may_read_variables":true`
	if !isSimple() { // the account may do no more than it must
		account = `"simple_role":"","may_read_variables":false`
	}
	if !strings.Contains(wrote, account) {
		t.Errorf("no %s in %s", account, wrote)
	}

	d := w.deploy(t)
	r := d.run(t)
	r.wantGreen(t)
	d.wantPassword(t, w.newestToken(t))
	if r.recipient(t) != w.variable(t, "ecr_refresh_recipient") {
		t.Error("step 1 did not encrypt to the recipient that setup stored")
	}
	s.want(t, 0, all("there", ""))
	w.secrets.add(w.variable(t, "ecr_refresh_private_key"))

	t.Run("differs", s.differs)
	t.Run("rights", s.rights)
	t.Run("remove", s.remove)
	d.run(t).wantGreen(t)
	w.secrets.add(w.variable(t, "ecr_refresh_private_key"))
	t.Run("no secret left", w.noSecretLeft)
}

// setupSite runs setup with the account of one of the users.
type setupSite struct {
	*world
	user string
}

// all is the state of each object of setup: others have another one.
func all(state, another string, others ...string) map[string]string {
	states := map[string]string{}
	for _, id := range []string{"systemqueue", "ecr_aws_account", "ecr_aws_region_name", "airflow-api",
		"docker_default", "ecr_refresh_recipient, ecr_refresh_private_key"} {
		states[id] = state
	}
	for _, id := range others {
		states[id] = another
	}
	return states
}

// want runs setup, compares the state of all objects, and returns what it wrote.
func (s setupSite) want(t *testing.T, code int, want map[string]string, options ...string) string {
	t.Helper()
	stdout, log := s.run(t, code, append([]string{"--json"}, options...)...)
	var answer struct {
		Objects []struct{ ID, State string }
	}
	must(t, json.Unmarshal([]byte(stdout), &answer))
	got := map[string]string{}
	for _, o := range answer.Objects {
		got[o.ID] = o.State
	}
	if !maps.Equal(got, want) {
		t.Errorf("setup %v: %v, want %v", options, got, want)
	}
	return stdout + log
}

// run runs setup, which must end with code, and returns what it wrote.
func (s setupSite) run(t *testing.T, code int, options ...string) (stdout, stderr string) {
	t.Helper()
	account, admin := s.Airflow.Users[s.user].Password, s.Airflow.Users["admin"].Password
	s.secrets.add(account)
	s.secrets.add(admin)
	args := append([]string{"setup", "--airflow-url", s.Airflow.URL}, options...)
	cmd := exec.CommandContext(t.Context(), s.bin, args...)
	cmd.Env = slices.Concat(s.As(s.user), s.admin("admin"), []string{"HOME=" + t.TempDir(),
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT=" + peers.SandboxAccount, "AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.Region})
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != code {
		t.Fatalf("%v, want exit code %d:\n%s%s", err, code, out.String(), log.String())
	}
	wantNoPiece(t, "what setup wrote", out.String()+log.String(), account, admin)
	return out.String(), log.String()
}

// differs: what exists and differs stays, and --force changes it.
func (s setupSite) differs(t *testing.T) {
	d := &dag{world: s.world, connection: "docker_default"}
	must(t, s.Airflow.SetVariable(t.Context(), "ecr_aws_region_name", "eu-west-1"))
	s.setConnection(t, peers.Connection{ID: "docker_default", Type: "docker",
		Host: new("https://" + peers.SandboxHost), Port: new(443), Login: new("me")})
	wrong := d.stored(t)
	changed := []string{"ecr_aws_region_name", "docker_default"}
	s.want(t, 2, all("there", "differs", changed...))
	d.wantUnchanged(t, wrong)
	s.want(t, 0, all("there", "updated", append(changed, "airflow-api")...), "--force")
	if got := d.stored(t); got.Port != nil || *got.Login != "AWS" || *got.Host != peers.SandboxHost {
		t.Errorf("after --force: %s", asJSON(got))
	}
	s.want(t, 0, all("there", ""))
}

// rights: accounts that may too little or too much.
func (s setupSite) rights(t *testing.T) {
	words := map[string]string{"viewer": "can_read on Connections"}
	if isFAB() {
		words["reader"], words["editor"] = "can_edit on Connections", "can_read on Connections"
	}
	if isKeycloak() { // its viewer reads all
		words["viewer"] = "PUT on Connection"
	}
	for user, right := range words {
		if _, log := (setupSite{s.world, user}).run(t, 2, "--force"); !strings.Contains(log, right) {
			t.Errorf("%s: nothing of %s in %s", user, right, log)
		}
	}
	more := "its role is admin (op is enough)"
	if !isSimple() {
		more = "which is not needed"
	}
	if text, _ := (setupSite{s.world, "admin"}).run(t, 0, "--force"); !strings.Contains(text, more) {
		t.Errorf("nothing of an admin's rights in %s", text)
	}
	s.want(t, 2, all("there", "differs", "airflow-api")) // it holds the admin now
	s.run(t, 0, "--force")
}

// remove: setup --remove takes back what is as setup made it, and setup makes it again.
func (s setupSite) remove(t *testing.T) {
	s.want(t, 0, all("would remove", ""), "--remove")
	s.want(t, 0, all("there", ""))
	must(t, s.Airflow.SetVariable(t.Context(), "ecr_aws_region_name", "eu-west-1"))
	s.want(t, 0, all("removed", "stays", "ecr_aws_region_name"), "--remove", "--force")
	s.want(t, 0, all("missing", "stays", "ecr_aws_region_name"), "--remove", "--force")
	must(t, s.Airflow.SetVariable(t.Context(), "ecr_aws_region_name", peers.Region))
	s.want(t, 0, all("created", "there", "ecr_aws_region_name"))
}

// variable returns a Variable's value as the command line of Airflow does.
func (w *world) variable(t *testing.T, key string) string {
	t.Helper()
	out, err := w.Airflow.CLI(t.Context(), "variables", "get", key)
	must(t, err)
	lines := strings.Fields(out)
	return lines[len(lines)-1]
}

// status reads what the deployed DAG published, as somebody who may read and no more.
func (w *world) status(t *testing.T) {
	h := w.shell(t, "")
	shown := h.Do(t, w.admin("viewer"), "status", "--json")
	shown.Want(t, 0)
	type shownConnection struct {
		ID        string    `json:"connection_id"`
		ExpiresAt time.Time `json:"expires_at"`
		IssuedAt  time.Time `json:"issued_at"`
		RunID     string    `json:"run_id"`
	}
	var all struct{ Connections []shownConnection }
	must(t, json.Unmarshal([]byte(shown.Stdout), &all))
	if len(all.Connections) != 1 {
		t.Fatalf("status shows %s", shown.Stdout)
	}
	got := all.Connections[0]
	issued := run{dag: &dag{world: w, id: deployedDAG}, id: got.RunID}.result(t, extract).Tokens[0]
	if want := (shownConnection{"docker_default", issued.ExpiresAt, issued.IssuedAt, got.RunID}); got != want {
		t.Errorf("got %+v, and the result of step 1 of that run says %+v", got, want)
	}
	h.Do(t, w.admin("viewer"), "status", "--min-left", "11h").Want(t, 0)
	if code := h.Do(t, w.admin("viewer"), "status", "--min-left", "13h").Code; code != 1 {
		t.Errorf("exit code is %d, want 1: less than 13 hours are left", code)
	}
	if isFAB() { // the account of airflow-api may not read runs, and the rights that --help names are enough
		h.Do(t, nil, "status").Want(t, 2, "airflow answered 403", "can_read on DAG Runs")
		w.addRights(t, "ecr_reader", "-r", "DAGs", "DAG Runs", "Task Instances", "XComs", "-a", "can_read")
		h.Do(t, w.admin("reader"), "status").Want(t, 0)
	}
}
