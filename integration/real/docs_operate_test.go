package real

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/readme"
	"ecr-refresh/integration/sandbox/suite"
)

// older is a commit whose DAG is not this one's.
const older = "a61f953"

// article stands for the DAG of the article: its id and tasks in their order, in a file of its own. The scheduler may
// run the first run of a new file in the order of the old one.
const article = `from airflow.sdk import DAG, chain, task
with DAG("refresh_docker_token_v4", schedule=None, catchup=False):
    chain(*(task(task_id=name)(lambda: "old")() for name in (
        "extract_ecr_token", "update_docker_connection", "test_docker_connection")))
`

// TestRealDocsOperate pastes the commands of docs/operate.md into a shell of an administrator, one section after
// another. The Airflow is one that the article has set up. No run fails but the one that has to.
func TestRealDocsOperate(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "ecr-refresh")
	backend := asJSON(map[string]string{"connections_file_path": filepath.Join(dir, "backend.json")})
	const class = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
	must(t, os.WriteFile(filepath.Join(dir, "backend.json"), []byte("{}"), 0o600))
	w := start(t, peers.Options{AuthManager: peers.FABAuthManager, Env: []string{
		"ECR_REFRESH_BIN=" + binary,
		"AIRFLOW__SECRETS__BACKEND=" + class, "AIRFLOW__SECRETS__BACKEND_KWARGS=" + backend,
		"AIRFLOW__WORKERS__SECRETS_BACKEND=" + class, "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS=" + backend,
	}})
	o := &operation{&dag{world: w, id: deployedDAG, connection: "docker_default"}, dir, binary}
	copyFile(t, w.bin, binary)
	o.writeInputs(t)
	for _, section := range []struct {
		name string
		test func(*testing.T)
	}{
		{"move", o.move}, {"upgrade", o.upgrade}, {"keys", o.keys}, {"account", o.account},
		{"connections", o.connections}, {"secrets backends", o.secretsBackends}, {"backup", o.backup},
		{"without setup", o.withoutSetup}, {"uninstall", o.uninstall},
	} {
		if !t.Run(section.name, section.test) {
			return // those below need this one
		}
	}
}

// operation is the DAG, and who operates it.
type operation struct {
	*dag
	home, binary string
}

// writeInputs writes the file of the README's step 4.
func (o *operation) writeInputs(t *testing.T) {
	admin, account := o.Airflow.Users["admin"], o.Airflow.Users["op"]
	text := fmt.Sprintf(`AIRFLOW_VAR_ECR_AWS_ACCOUNT=%s
AIRFLOW_VAR_ECR_AWS_REGION_NAME=%s
ECR_REFRESH_AIRFLOW_URL=%s
ECR_REFRESH_ADMIN_LOGIN=%s
ECR_REFRESH_ADMIN_PASSWORD=%s
ECR_REFRESH_AIRFLOW_LOGIN=%s
ECR_REFRESH_AIRFLOW_PASSWORD=%s
`, peers.SandboxAccount, peers.Region, o.Airflow.URL, admin.User, admin.Password, account.User, account.Password)
	must(t, os.WriteFile(filepath.Join(o.home, "ecr-refresh.env"), []byte(text), 0o600))
}

// environ is what the operator's shell has.
func (o *operation) environ() []string {
	env := append(o.Airflow.Environ(), "HOME="+o.home, "ECR_REFRESH_BIN=")
	for i, entry := range env {
		if path, is := strings.CutPrefix(entry, "PATH="); is {
			env[i] = "PATH=" + filepath.Dir(o.binary) + ":" + path
		}
	}
	return env
}

// paste runs the blocks of a kind in a page of docs, and fails unless it prints all words.
func (o *operation) paste(t *testing.T, kind string, words ...string) {
	t.Helper()
	name := "operate.md"
	if kind == "bare" {
		name = "deploy/README.md"
	}
	out, err := readme.Paste(page(t, name, kind), o.home, o.environ(),
		"cp ecr-refresh ", "cp "+o.bin+" ", "/usr/local/bin/", filepath.Dir(o.binary)+"/",
		"~/airflow/dags", o.Airflow.DAGs, "https://airflow.example.com:8443", o.Airflow.URL,
		"'…'", o.Airflow.Users["op"].Password)
	if err != nil {
		t.Fatalf("%s: %v\n%s", kind, err, out)
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			t.Errorf("%s: no %q in\n%s", kind, word, out)
		}
	}
}

// green triggers a run, which must succeed.
func (o *operation) green(t *testing.T) run {
	t.Helper()
	return o.wantNoFailed(t, o.run(t))
}

// triggered waits for the run that a page has triggered, which must succeed.
func (o *operation) triggered(t *testing.T) run {
	t.Helper()
	must(t, o.Airflow.WaitIdle(t.Context(), o.id, runLimit))
	return o.wantNoFailed(t, run{dag: o.dag, id: o.runs(t, "success")[0]})
}

// wantNoFailed fails unless a run has succeeded, and all that were before it.
func (o *operation) wantNoFailed(t *testing.T, r run) run {
	t.Helper()
	r.wantGreen(t)
	for _, id := range o.runs(t, "failed") {
		t.Errorf("run %s has failed", id)
		run{dag: o.dag, id: id}.wantGreen(t)
	}
	return r
}

// runs returns the ids of the DAG's runs in a state, the newest first.
func (o *operation) runs(t *testing.T, state string) (ids []string) {
	t.Helper()
	var all struct {
		Runs []struct {
			ID string `json:"dag_run_id"`
		} `json:"dag_runs"`
	}
	call := o.Airflow.As("admin")
	must(t, call(t.Context(), "GET", "/api/v2/dags/"+o.id+"/dagRuns?order_by=-run_after&state="+state, nil, &all))
	for _, r := range all.Runs {
		ids = append(ids, r.ID)
	}
	return ids
}

// move begins with what the article says, and keeps its runs.
func (o *operation) move(t *testing.T) {
	must(t, o.Airflow.SetPool(t.Context(), "systemqueue", 5))
	must(t, o.Airflow.SetVariable(t.Context(), "ecr_aws_account", peers.SandboxAccount))
	must(t, o.Airflow.SetVariable(t.Context(), "ecr_aws_region_name", peers.Region))
	o.setAPI(t, "airflow-api", o.Airflow.Users["op"], o.Airflow.URL)
	o.setDocker(t, "docker_default", peers.SandboxHost)
	must(t, o.Airflow.Deploy("ecr_docker_token.py", article))
	old := o.run(t)
	old.wantGreen(t)

	o.paste(t, "move", "pool systemqueue: is there", "connection airflow-api: is there",
		"ecr_refresh_private_key: created")
	o.parses(t, 2)
	o.green(t)
	o.wantPassword(t, o.newestToken(t))
	if kept := o.runs(t, "success"); !slices.Contains(kept, old.id) || len(old.tasks(t)) != 3 {
		t.Errorf("run %s is not among %q", old.id, kept)
	}
}

// upgrade begins with an older binary and DAG, and mixes them in both ways.
func (o *operation) upgrade(t *testing.T) {
	old := buildOlder(t)
	copyFile(t, old, o.binary)
	install := old + " dag install --force --schedule '5 * * * *' --dags-folder " + o.Airflow.DAGs
	if out, err := readme.Script(install, o.home, o.environ()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o.parses(t, 2)
	o.paste(t, "binary") // with the old DAG
	o.green(t)
	o.paste(t, "stub", "kept settings of the file: SCHEDULE", "wrote ")
	o.parses(t, 2)
	o.green(t)
	copyFile(t, old, o.binary) // with the new DAG
	o.green(t)
	o.paste(t, "binary")
}

// buildOlder builds the older binary from the repository's history.
func buildOlder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := "git -C " + root + " archive " + older + " | tar x -C " + dir + " && cd " + dir +
		" && CGO_ENABLED=0 go build -tags urfave_cli_no_docs -o ecr-refresh ./cmd/ecr-refresh"
	if out, err := readme.Script(script, ".", os.Environ()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "ecr-refresh")
}

// copyFile replaces a program with one rename.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to+".new", text, 0o755))
	must(t, os.Rename(to+".new", to))
}

func (o *operation) keys(t *testing.T) {
	before := o.variable(t, "ecr_refresh_recipient")
	o.paste(t, "keys")
	after := o.variable(t, "ecr_refresh_recipient")
	if got := o.triggered(t).recipient(t); got == before || got != after {
		t.Errorf("the token is encrypted to %s, and the Variable was %s and is %s", got, before, after)
	}
}

// account is rotated: a run succeeds before the old one is deleted, and after it.
func (o *operation) account(t *testing.T) {
	o.paste(t, "account", "connection airflow-api: would update", "connection airflow-api: updated",
		"airflow-api account refresher-2: can log in, read and update connections")
	o.green(t)
	o.paste(t, "old_account")
	o.green(t)
	if _, err := o.Airflow.Token(o.Airflow.Users["op"]); err == nil {
		t.Error("the old account can still log in")
	}
}

func (o *operation) connections(t *testing.T) {
	o.paste(t, "add")
	r := o.green(t)
	for _, token := range r.result(t, extract).Tokens {
		if got := suite.Fingerprint(o.Password(t, token.Connections[0])); got != token.Fingerprint {
			t.Errorf("%q: the password is %s, want %s", token.Connections, got, token.Fingerprint)
		}
	}
	if n := len(r.result(t, update).Connections); n != 2 {
		t.Errorf("the run updated %d connections", n)
	}
	o.paste(t, "remove")
	if n := len(o.green(t).result(t, update).Connections); n != 1 {
		t.Errorf("the run updated %d connections", n)
	}
}

// secretsBackends: airflow-api may be in one, and docker_default may not.
func (o *operation) secretsBackends(t *testing.T) {
	file := filepath.Join(o.home, "backend.json")
	api, err := o.Airflow.CLI(t.Context(), "connections", "get", "airflow-api", "-o", "json")
	must(t, err)
	if !strings.Contains(api, "refresher-2") {
		t.Fatalf("airflow-api is %s", api)
	}
	text, err := os.ReadFile(filepath.Join(o.home, "ecr-refresh.env"))
	must(t, err)
	_, password, _ := strings.Cut(strings.TrimSpace(string(text)), "ECR_REFRESH_AIRFLOW_PASSWORD=")
	server, err := url.Parse(o.Airflow.URL)
	must(t, err)
	server.User = url.UserPassword("refresher-2", password)
	own := map[string]string{"airflow-api": server.String()}
	must(t, os.WriteFile(file, []byte(asJSON(own)), 0o600))
	call := o.Airflow.As("admin")
	must(t, call(t.Context(), "DELETE", "/api/v2/connections/airflow-api", nil, nil))
	o.green(t)

	own["docker_default"] = "docker://AWS:overriding-password@" + peers.SandboxHost
	must(t, os.WriteFile(file, []byte(asJSON(own)), 0o600))
	o.run(t).wantRed(t, test, 2, "docker_default", "secrets backend")
	must(t, os.WriteFile(file, []byte("{}"), 0o600))
	failed := o.runs(t, "failed")[0]
	must(t, call(t.Context(), "DELETE", "/api/v2/dags/"+o.id+"/dagRuns/"+url.PathEscape(failed), nil, nil))
	o.setAPI(t, "airflow-api", peers.Login{User: "refresher-2", Password: password}, o.Airflow.URL)
	o.green(t)
}

// backup: what was exported makes a run succeed again, when all was lost.
func (o *operation) backup(t *testing.T) {
	o.paste(t, "backup")
	for _, name := range []string{"connections.json", "variables.json"} {
		info, err := os.Stat(filepath.Join(o.home, name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
	}
	o.lose(t)
	o.paste(t, "restore")
	o.triggered(t)
}

// lose deletes all that setup made.
func (o *operation) lose(t *testing.T) {
	t.Helper()
	call := o.Airflow.As("admin")
	for _, path := range []string{"connections/airflow-api", "connections/docker_default", "pools/systemqueue",
		"variables/ecr_aws_account", "variables/ecr_aws_region_name", "variables/ecr_targets",
		"variables/ecr_refresh_recipient", "variables/ecr_refresh_private_key"} {
		must(t, call(t.Context(), "DELETE", "/api/v2/"+path, nil, nil))
	}
}

// withoutSetup: the commands of airflow in docs/deploy make what setup would.
func (o *operation) withoutSetup(t *testing.T) {
	_, err := o.Airflow.CLI(t.Context(), "users", "create", "--username", "refresher", "--role", "ecr_refresh",
		"--password", o.Airflow.Users["op"].Password, "--firstname", "ECR", "--lastname", "refresh",
		"--email", "refresher@example.com")
	must(t, err)
	o.lose(t)
	o.writeInputs(t)
	o.paste(t, "bare")
	setup := "ECR_REFRESH_ENV_FILE=~/ecr-refresh.env ecr-refresh setup" // which has nothing to create
	out, err := readme.Script(setup, o.home, o.environ()).CombinedOutput()
	if err != nil || strings.Contains(string(out), "created") {
		t.Errorf("%v\n%s", err, out)
	}
	o.green(t)
}

// uninstall leaves nothing: setup would create all of it again.
func (o *operation) uninstall(t *testing.T) {
	o.paste(t, "uninstall", "connection docker_default: would remove", "connection docker_default: removed",
		"ecr_refresh_recipient, ecr_refresh_private_key: removed")
	if entries, err := filepath.Glob(filepath.Join(o.home, "ecr-refresh*")); err != nil || len(entries) > 0 {
		t.Errorf("%v, and there still are %q", err, entries)
	}
	setupSite{o.world, "admin"}.want(t, 0, all("would create", ""), "--dry-run")
	if _, err := o.Airflow.CLI(t.Context(), "dags", "details", o.id); err == nil {
		t.Error("Airflow still has the DAG")
	}
}
