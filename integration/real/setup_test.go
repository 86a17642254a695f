package real

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
)

// TestRealSetup starts with an empty Airflow: ecr-refresh setup makes what the DAG needs.
func TestRealSetup(t *testing.T) {
	w := startEmpty(t)
	s := setupSite{w, "op"}
	s.wantAll(t, s.run(t, 0, "--dry-run"), "would create")
	made := s.run(t, 0)
	s.wantAll(t, made, "created")
	s.wantAccount(t, made)
	w.keepKey(t)

	must(t, w.Airflow.Deploy(dags.RefreshDockerTokenFile, dags.RefreshDockerToken))
	d := &dag{world: w, id: deployedDAG, connection: "docker_default"}
	r := d.run(t)
	r.wantGreen(t)
	if d.password(t, d.connection) != w.newestToken(t) {
		t.Error("Airflow's stored password is not ECR's token")
	}
	if r.document(t, extract)["recipient"] != w.variable(t, "ecr_refresh_recipient") {
		t.Error("step 1 did not encrypt to the recipient that setup stored")
	}
	s.wantAll(t, s.run(t, 0), "there")

	t.Run("differs", s.differs)
	t.Run("rights", s.rights)
	d.run(t).wantGreen(t)
	w.keepKey(t)
	t.Run("no secret left", w.noSecretLeft)
}

// setupSite runs setup with the account of one of the users.
type setupSite struct {
	*world
	user string
}

// setupAnswer is what setup --json prints.
type setupAnswer struct {
	Objects []struct{ Kind, ID, State string }
	Account *struct {
		SimpleRole string `json:"simple_role"`
		Variables  bool   `json:"may_read_variables"`
	}
}

func (s setupSite) run(t *testing.T, code int, options ...string) (answer setupAnswer) {
	t.Helper()
	stdout, stderr := s.output(t, code, append([]string{"--json"}, options...)...)
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	return answer
}

// output runs setup, which must end with code, and returns what it wrote.
func (s setupSite) output(t *testing.T, code int, options ...string) (stdout, stderr string) {
	t.Helper()
	account, admin := s.Airflow.Users[s.user], s.Airflow.Users["admin"]
	s.secrets.add(account.Password)
	s.secrets.add(admin.Password)
	command := exec.CommandContext(t.Context(), s.bin,
		append([]string{"setup", "--airflow-url", s.Airflow.URL}, options...)...)
	command.Env = []string{
		"HOME=" + t.TempDir(), "AIRFLOW_VAR_ECR_AWS_ACCOUNT=" + peers.SandboxAccount,
		"AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.Region,
		"ECR_REFRESH_ADMIN_LOGIN=" + admin.User, "ECR_REFRESH_ADMIN_PASSWORD=" + admin.Password,
		"ECR_REFRESH_AIRFLOW_LOGIN=" + account.User, "ECR_REFRESH_AIRFLOW_PASSWORD=" + account.Password,
	}
	var out, log bytes.Buffer
	command.Stdout, command.Stderr = &out, &log
	got := 0
	if err, failed := command.Run(), new(exec.ExitError); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		must(t, err)
	}
	if got != code {
		t.Fatalf("exit code %d, want %d:\n%s%s", got, code, out.String(), log.String())
	}
	wantNoPiece(t, "what setup wrote", out.String()+log.String(), account.Password, admin.Password)
	return out.String(), log.String()
}

// wantAll fails unless setup says the same of all six objects.
func (s setupSite) wantAll(t *testing.T, answer setupAnswer, state string) {
	t.Helper()
	for _, o := range answer.Objects {
		if o.State != state {
			t.Errorf("%s %s: %s, want %s", o.Kind, o.ID, o.State, state)
		}
	}
	if len(answer.Objects) != 6 {
		t.Errorf("%d objects, want 6", len(answer.Objects))
	}
}

// wantAccount: under FAB the account may do no more than it must; under the SimpleAuthManager it has the role op.
func (s setupSite) wantAccount(t *testing.T, answer setupAnswer) {
	t.Helper()
	role, variables := "op", true
	if isFAB() {
		role, variables = "", false
	}
	if a := answer.Account; a == nil || a.SimpleRole != role || a.Variables != variables {
		t.Errorf("account %+v, want role %q, Variables %v", a, role, variables)
	}
}

// differs: what exists and differs stays, and --force changes it.
func (s setupSite) differs(t *testing.T) {
	ctx, a := t.Context(), s.Airflow
	must(t, a.SetVariable(ctx, "ecr_aws_region_name", "eu-west-1"))
	must(t, a.SetConnection(ctx, peers.Connection{ID: "docker_default", Type: "docker",
		Host: new("https://" + peers.SandboxHost), Port: new(443), Login: new("me")}))
	changed := []string{"ecr_aws_region_name", "docker_default"}
	answer := s.run(t, 2)
	for _, o := range answer.Objects {
		if want := map[bool]string{true: "differs", false: "there"}[slices.Contains(changed, o.ID)]; o.State != want {
			t.Errorf("%s is %s, want %s", o.ID, o.State, want)
		}
	}
	if got, _ := a.Connection(ctx, "docker_default"); got.Port == nil || *got.Login != "me" {
		t.Errorf("without --force it changed %+v", got)
	}
	for _, o := range s.run(t, 0, "--force").Objects {
		if want := slices.Contains(changed, o.ID) || o.ID == "airflow-api"; want != (o.State == "updated") {
			t.Errorf("%s is %s after --force", o.ID, o.State)
		}
	}
	if got, err := a.Connection(ctx, "docker_default"); err != nil || got.Port != nil || *got.Login != "AWS" ||
		*got.Host != peers.SandboxHost {
		t.Errorf("after --force: %+v, %v", got, err)
	}
	s.wantAll(t, s.run(t, 0), "there")
}

// rights: accounts that may too little or too much.
func (s setupSite) rights(t *testing.T) {
	words := map[string]string{"viewer": "can_read on Connections"}
	if isFAB() {
		words["reader"], words["editor"] = "can_edit on Connections", "can_read on Connections"
	}
	for user, right := range words {
		if _, log := (setupSite{s.world, user}).output(t, 2, "--force"); !strings.Contains(log, right) {
			t.Errorf("%s: nothing of %s in %s", user, right, log)
		}
	}
	text, _ := setupSite{s.world, "admin"}.output(t, 0, "--force")
	if !strings.Contains(text, "and op is enough") && !strings.Contains(text, "which is not needed") {
		t.Errorf("nothing of an admin's rights in %s", text)
	}
	back := s.run(t, 2) // airflow-api holds the admin now
	for _, o := range back.Objects {
		if want := map[bool]string{true: "differs", false: "there"}[o.ID == "airflow-api"]; o.State != want {
			t.Errorf("%s is %s, want %s", o.ID, o.State, want)
		}
	}
	s.run(t, 0, "--force")
}

// keepKey adds the stored private key to the secrets that must not be found anywhere.
func (w *world) keepKey(t *testing.T) {
	t.Helper()
	w.secrets.add(w.variable(t, "ecr_refresh_private_key"))
}

// variable returns a Variable's value as the command line of Airflow does.
func (w *world) variable(t *testing.T, key string) string {
	t.Helper()
	out, err := w.Airflow.CLI(t.Context(), "variables", "get", key)
	must(t, err)
	lines := strings.Fields(out)
	return lines[len(lines)-1]
}
