package real

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

// The tasks, in their order.
const (
	extract = "extract_ecr_token"
	update  = "update_docker_connection"
	test    = "test_docker_connection"
)

// runLimit bounds one run of the DAG: three tasks, while others run beside it.
const runLimit = 5 * time.Minute

// TestReal runs the DAG on real Airflow, and the steps by hand. One Airflow serves all parts: first the DAG alone as it
// is deployed, then copies of it side by side, each with a connection and a fault of its own, then what disturbs
// everybody.
func TestReal(t *testing.T) {
	w := startWorld(t)
	t.Run("deployed", w.deployed)
	t.Run("status", w.status)
	t.Run("doctor", w.doctor)
	t.Run("dag install", w.dagInstall)
	t.Run("copies", func(t *testing.T) {
		for name, part := range map[string]func(*testing.T){
			"real registry":         w.realRegistry,
			"no pool":               w.noPool,
			"token refused":         w.tokenRefused,
			"variables missing":     w.variablesMissing,
			"connection missing":    w.connectionMissing,
			"another registry":      w.anotherRegistry,
			"viewer":                w.viewer,
			"wrong password":        w.wrongPassword,
			"old run cleared":       w.oldRunCleared,
			"overridden":            w.overridden,
			"tested again later":    w.testedAgain,
			"stale docker config":   w.staleConfig,
			"helper docker config":  w.helperConfig,
			"airflow-api is absent": w.noAPIConnection,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); part(t) })
		}
	})
	t.Run("image", w.loadImage)
	t.Run("containers and kills", func(t *testing.T) {
		for name, part := range map[string]func(*testing.T){
			"docker operator":       w.dockerOperator,
			"docker, no identity":   w.dockerNoIdentity,
			"docker, token refused": w.dockerTokenRefused,
			"docker, instance role": w.dockerInstanceRole,
			"docker, document cut":  w.dockerCut,
			"docker, marked failed": w.dockerMarkedFailed,
			"docker, timed out":     w.dockerTimedOut,
			"marked failed":         w.markedFailed,
			"timed out":             w.timedOut,
			"the image by hand":     w.imageByHand,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); part(t) })
		}
	})
	t.Run("many", w.many)
	if isFAB() { // SimpleAuthManager knows no single rights, and the README has no commands for it
		t.Run("one right less", w.oneRightLess)
		t.Run("commands of the README", w.readmeCommands)
	}
	t.Run("ready-made token", w.readyMadeToken)
	t.Run("engine stopped", w.engineStopped)
	t.Run("broken ways", w.brokenWays)
	t.Run("filtered engine", w.filteredEngine)
	t.Run("jwt revoked", w.revoked)
	t.Run("jwt of a stranger", w.strangers)
	t.Run("restarted", w.restarted)
	t.Run("by hand", func(t *testing.T) { suite.Run(t, realSite{w}, w.bin) })
	t.Run("one version", w.oneVersion)
	t.Run("no secret left", w.noSecretLeft)
}

// world is the running peers, and an Airflow set up as the README says.
type world struct {
	*peers.Peers
	bin      string
	secrets  *secretSet
	identity identity // of the copies that run in containers
}

// startWorld starts the peers, with Celery where workers are named, and sets Airflow up.
func startWorld(t *testing.T, workers ...string) *world {
	w := startEmpty(t, workers...)
	w.setUp(t)
	return w
}

// startEmpty leaves Airflow as it is installed.
func startEmpty(t *testing.T, workers ...string) *world {
	dir, err := os.MkdirTemp("", "ecr-refresh-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	bin, err := suite.Build(dir)
	must(t, err)
	p, err := peers.Start(t.Context(), peers.Options{
		Dir: dir, Airflow: os.Getenv("AIRFLOW"), AuthManager: os.Getenv("AUTH_MANAGER"), Workers: workers, Binary: bin,
		Env: []string{"AIRFLOW_CONN_DOCKER_OVERRIDDEN=docker://AWS:overriding-password@" + peers.SandboxHost},
	})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			p.WriteLogs(os.Stderr, 40)
		}
		must(t, p.Close())
	})
	return &world{Peers: p, bin: bin, secrets: new(secretSet)}
}

func isFAB() bool { return os.Getenv("AUTH_MANAGER") == peers.FABAuthManager }

// setUp creates in Airflow what setup does, and what the copies of the DAG need besides.
func (w *world) setUp(t *testing.T) {
	ctx, a := t.Context(), w.Airflow
	must(t, a.SetPool(ctx, "systemqueue", 8))
	for key, value := range map[string]string{
		"ecr_aws_account": peers.SandboxAccount, "ecr_aws_region_name": peers.Region,
		"moto_account": w.Moto.Account, "refused_region": peers.RefusedRegion, "max_age": "1h",
	} {
		must(t, a.SetVariable(ctx, key, value))
	}
	op, viewer := a.Users["op"], a.Users["viewer"]
	w.setAPIConnection(t, "airflow-api", op.User, op.Password)
	w.setAPIConnection(t, "airflow-viewer", viewer.User, viewer.Password)
	w.setAPIConnection(t, "airflow-wrong", op.User, rand.Text())
	w.setDocker(t, "docker_default", peers.SandboxHost)
	w.setUpDocker(t)
}

func (w *world) setAPIConnection(t *testing.T, id, user, password string) {
	t.Helper()
	w.secrets.add(password)
	must(t, w.Airflow.SetConnection(t.Context(), peers.Connection{
		ID: id, Type: "http", Schema: new("http"), Host: new("127.0.0.1"), Port: &w.Airflow.Port, Login: &user,
		Password: &password,
	}))
}

// setDocker creates a connection as users have it, with an old password, and returns that password.
func (w *world) setDocker(t *testing.T, id, host string) string {
	t.Helper()
	old := "old-password-" + rand.Text()
	w.secrets.add(old)
	must(t, w.Airflow.SetConnection(t.Context(), peers.Connection{
		ID: id, Type: "docker", Description: new("ECR of the platform team"),
		Host: &host, Login: new("AWS"), Password: &old,
		Extra: new(`{"email": "platform@example.com", "reauth": true}`),
	}))
	return old
}

func (w *world) password(t *testing.T, connection string) string {
	t.Helper()
	password, err := w.Airflow.StoredPassword(t.Context(), connection)
	must(t, err)
	w.secrets.add(password)
	return password
}

// dag is a copy of the DAG with a connection of its own.
type dag struct {
	*world
	id         string
	connection string
	old        string // the connection's password before any run
}

// copy deploys the DAG under another name, with a connection docker_<name> of host ("" makes none), no retries and no
// schedule, and with further edits: pairs of what is written in the DAG and what takes its place.
func (w *world) copy(t *testing.T, name, host string, edits ...string) *dag {
	t.Helper()
	d := &dag{world: w, id: "refresh_" + name, connection: "docker_" + name}
	if host != "" {
		d.old = w.setDocker(t, d.connection, host)
	}
	d.deploy(t, dags.RefreshDockerToken, append(edits, `"refresh_docker_token_v4"`, `"`+d.id+`"`))
	return d
}

func (d *dag) deploy(t *testing.T, text string, edits []string) {
	t.Helper()
	text = edit(t, text, append([]string{
		`CONNECTION_IDS = ""`, `CONNECTION_IDS = "` + d.connection + `"`,
		`"retries": 2`, `"retries": 0`,
		`schedule=SCHEDULE`, `schedule=None`,
	}, edits...)...)
	must(t, d.Airflow.Deploy(d.id+".py", text))
}

// edit replaces, and fails when there was nothing to replace: then the DAG has changed and the test must follow.
func edit(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the DAG no longer contains %q", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// withEnv is an edit that adds to the environment of all three tasks.
func withEnv(env map[string]string) []string {
	return []string{`ENVIRONMENT = {}`, `ENVIRONMENT = ` + asJSON(env)}
}

// run is one run of a DAG, ended.
type run struct {
	*world
	dag, id, state string
}

// run triggers a run and waits for its end.
func (d *dag) run(t *testing.T) run {
	t.Helper()
	id, err := d.Airflow.Trigger(t.Context(), d.id)
	must(t, err)
	r := run{world: d.world, dag: d.id, id: id}
	return r.wait(t)
}

func (r run) wait(t *testing.T) run {
	t.Helper()
	var err error
	r.state, err = r.Airflow.WaitRun(t.Context(), r.dag, r.id, runLimit)
	must(t, err)
	return r
}

// again clears one task of the run, and waits for the run's end.
func (r run) again(t *testing.T, task string) run {
	t.Helper()
	must(t, r.Airflow.Clear(t.Context(), r.dag, r.id, task))
	return r.wait(t)
}

func (r run) tasks(t *testing.T) map[string]peers.TaskInstance {
	t.Helper()
	tasks, err := r.Airflow.Tasks(t.Context(), r.dag, r.id)
	must(t, err)
	return tasks
}

// log returns the log of a task's last try.
func (r run) log(t *testing.T, task string) string {
	t.Helper()
	text, err := r.Airflow.Log(t.Context(), r.dag, r.id, task, r.tasks(t)[task].TryNumber)
	must(t, err)
	return text
}

// wantStates compares the state of the three tasks.
func (r run) wantStates(t *testing.T, states ...string) {
	t.Helper()
	tasks := r.tasks(t)
	for i, task := range []string{extract, update, test} {
		if tasks[task].State != states[i] {
			t.Errorf("%s is %s, want %s; its log:\n%s", task, tasks[task].State, states[i], r.log(t, task))
		}
	}
}

// wantGreen fails unless all three tasks succeeded.
func (r run) wantGreen(t *testing.T) {
	t.Helper()
	r.wantStates(t, "success", "success", "success")
}

// wantRed fails unless exactly this task failed, with this exit code and these words in its log.
func (r run) wantRed(t *testing.T, task, code string, words ...string) {
	t.Helper()
	r.wantFailed(t, task, append(words, "non-zero exit code "+code)...)
}

// wantFailed is wantRed for any operator.
func (r run) wantFailed(t *testing.T, task string, words ...string) {
	t.Helper()
	r.wantStates(t, map[string][]string{
		extract: {"failed", "upstream_failed", "upstream_failed"},
		update:  {"success", "failed", "upstream_failed"},
		test:    {"success", "success", "failed"},
	}[task]...)
	r.wantLog(t, task, append(words, "ecr-refresh: error: ", "ecr-refresh: hint: ")...)
}

func (r run) wantLog(t *testing.T, task string, words ...string) {
	t.Helper()
	log := r.log(t, task)
	for _, w := range words {
		if !strings.Contains(log, w) {
			t.Errorf("the log of %s does not contain %q:\n%s", task, w, log)
		}
	}
}

// wantOld fails when anything was published.
func (d *dag) wantOld(t *testing.T) {
	t.Helper()
	if got := d.password(t, d.connection); got != d.old {
		t.Errorf("%s holds another password than before", d.connection)
	}
}

// document decodes what a task pushed.
func (r run) document(t *testing.T, task string) map[string]any {
	t.Helper()
	value, err := r.Airflow.XCom(t.Context(), r.dag, r.id, task)
	must(t, err)
	var doc map[string]any
	if err := json.Unmarshal(value, &doc); err != nil {
		t.Fatalf("the XCom of %s is no object: %v\n%s", task, err, value)
	}
	return doc
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
