// Package real proves ecr-refresh on its real peers (package peers): the DAG in Airflow, and the steps by hand.
//
// The tests run when INTEGRATION=required, as run.sh sets it, and then a peer that is missing is a failure; otherwise
// none of them runs.
package real

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

func TestMain(m *testing.M) {
	flag.Parse()
	switch mode := os.Getenv("INTEGRATION"); mode {
	case "required":
		_ = flag.Set("test.parallel", "32") // many tests wait for Airflow at the same time
		os.Exit(m.Run())
	case "":
	default:
		fmt.Fprintf(os.Stderr, "integration: INTEGRATION=%q: want required, or nothing\n", mode)
		os.Exit(2)
	}
}

// The tasks, in their order.
const (
	extract = "extract_ecr_token"
	update  = "update_docker_connection"
	test    = "test_docker_connection"
)

// The DAG as it is deployed, with either operator.
const (
	deployedDAG = "refresh_docker_token_v4"
	dockerDAG   = "refresh_docker_token_docker_v4"
)

// runLimit bounds one run of the DAG: three tasks, while others run beside it.
const runLimit = 5 * time.Minute

// TestReal runs the DAG on real Airflow, and the steps by hand. One Airflow serves all parts: first the DAG alone as it
// is deployed, then copies of it side by side, each with a connection and a fault of its own, then what disturbs
// everybody. What the suite shows by hand, no copy shows again: these are for what the DAG and Airflow do.
func TestReal(t *testing.T) {
	const docker = true
	w := startWorld(t)
	t.Run("deployed", w.deployed)
	t.Run("status", w.status)
	t.Run("status of a changed connection", w.statusChanged)
	t.Run("doctor", w.doctor)
	t.Run("dag install", w.dagInstall)
	sideBySide(t, "copies", map[string]func(*testing.T){
		"real registry":         w.realRegistry,
		"retries":               w.retries(!docker),
		"no binary":             w.noBinary,
		"site settings":         w.siteSettings,
		"no pool":               w.noPool,
		"token refused":         w.tokenRefused(!docker),
		"variables missing":     w.variablesMissing,
		"viewer":                w.viewer,
		"airflow-api is absent": w.noAPIConnection,
		"another host":          w.anotherHost,
		"overridden":            w.overridden,
	})
	t.Run("image", w.loadImage)
	sideBySide(t, "containers and kills", map[string]func(*testing.T){
		"docker operator":       w.dockerOperator,
		"docker, no identity":   w.dockerNoIdentity,
		"docker, token refused": w.tokenRefused(docker),
		"docker, instance role": w.dockerInstanceRole,
		"docker, marked failed": w.markedFailed(docker),
		"docker, timed out":     w.timedOut(docker),
		"docker, retries":       w.retries(docker),
		"marked failed":         w.markedFailed(!docker),
		"timed out":             w.timedOut(!docker),
	})
	t.Run("image, no container left", w.noContainer)
	t.Run("many", w.many)
	if isFAB() { // SimpleAuthManager knows no single rights, and the README has no commands for it
		sideBySide(t, "one right less", map[string]func(*testing.T){
			"no can_edit": w.lacks("reader", "can_edit"),
			"no can_read": w.lacks("editor", "can_read"),
		})
		t.Run("commands of the README", w.readmeCommands)
	}
	if isKeycloak() {
		t.Run("keycloak", w.keycloak)
	}
	t.Run("ready-made token", w.readyMadeToken)
	sideBySide(t, "killed containers", map[string]func(*testing.T){
		"docker, supervisor terminated": w.killed("terminated", syscall.SIGTERM, true, 0),
		"docker, supervisor killed":     w.killed("killed", syscall.SIGKILL, true, 0),
		"docker, task killed":           w.killed("alone", syscall.SIGKILL, false, 1),
	})
	t.Run("engine stopped", w.engineStopped)
	t.Run("broken ways", w.brokenWays)
	t.Run("filtered engine", w.filteredEngine)
	t.Run("engines", w.engines)
	t.Run("jwt revoked", w.revoked)
	t.Run("jwt of a stranger", w.strangers)
	t.Run("restarted", w.restarted)
	t.Run("by hand", func(t *testing.T) { suite.Run(t, w, w.bin) })
	t.Run("one version", w.oneVersion)
	t.Run("no secret left", w.noSecretLeft)
}

// sideBySide returns when all parts have ended.
func sideBySide(t *testing.T, name string, parts map[string]func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		for name, part := range parts {
			t.Run(name, func(t *testing.T) { t.Parallel(); part(t) })
		}
	})
}

// world is the running peers, and an Airflow set up as the README says. It is the suite's site of real peers.
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
	return start(t, peers.Options{AuthManager: os.Getenv("AUTH_MANAGER"), Workers: workers,
		Env: []string{"AIRFLOW_CONN_DOCKER_OVERRIDDEN=docker://AWS:overriding-password@" + peers.SandboxHost},
	})
}

// start starts peers in a folder of their own.
func start(t *testing.T, o peers.Options) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "ecr-refresh-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	bin, err := suite.Build(dir)
	must(t, err)
	o.Dir, o.Airflow, o.Binary = dir, os.Getenv("AIRFLOW"), bin
	p, err := peers.Start(t.Context(), o)
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

func isSimple() bool { return !isFAB() && !isKeycloak() }

func isKeycloak() bool { return os.Getenv("AUTH_MANAGER") == peers.KeycloakAuthManager }

// setUp creates in Airflow what setup does, and what the copies of the DAG need besides.
func (w *world) setUp(t *testing.T) {
	a, aws := w.Airflow, w.Sandbox.ECR.Credentials()
	must(t, a.SetPool(t.Context(), "systemqueue", 8))
	for key, value := range map[string]string{
		"ecr_aws_account": peers.SandboxAccount, "ecr_aws_region_name": peers.Region,
		"moto_account": w.Moto.Account, "refused_region": peers.RefusedRegion,
	} {
		must(t, a.SetVariable(t.Context(), key, value))
	}
	w.setAPI(t, "airflow-api", a.Users["op"], a.URL)
	w.setDocker(t, "docker_default", peers.SandboxHost)
	w.identity = w.setKeys(t, "docker") // the others encrypt to keys of the worker's own
	w.secrets.add(aws.SecretAccessKey)
	w.setConnection(t, peers.Connection{
		ID: "aws_default", Type: "aws", Login: &aws.AccessKeyID, Password: &aws.SecretAccessKey,
	})
}

func (w *world) setConnection(t *testing.T, c peers.Connection) {
	t.Helper()
	must(t, w.Airflow.SetConnection(t.Context(), c))
}

// setAPI creates a connection to an API server of Airflow.
func (w *world) setAPI(t *testing.T, id string, login peers.Login, base string) {
	t.Helper()
	server, err := url.Parse(base)
	must(t, err)
	port, err := strconv.Atoi(server.Port())
	must(t, err)
	w.secrets.add(login.Password)
	w.setConnection(t, peers.Connection{ID: id, Type: "http", Schema: &server.Scheme, Host: new(server.Hostname()),
		Port: &port, Login: &login.User, Password: &login.Password})
}

// setDocker creates a connection as users have it, with an old password, and returns that password.
func (w *world) setDocker(t *testing.T, id, host string) string {
	t.Helper()
	old := "old-password-" + rand.Text()
	w.secrets.add(old)
	w.setConnection(t, peers.Connection{
		ID: id, Type: "docker", Description: new("ECR of the platform team"),
		Host: &host, Login: new("AWS"), Password: &old,
		Extra: new(`{"email": "platform@example.com", "reauth": true}`),
	})
	return old
}

// identity is what keygen makes.
type identity struct {
	Recipient  string `json:"ecr_refresh_recipient"`
	PrivateKey string `json:"ecr_refresh_private_key"`
}

// setKeys sets the two Variables that keygen prints, under names with this prefix.
func (w *world) setKeys(t *testing.T, prefix string) (keys identity) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), w.bin, "keygen", "--json").Output()
	must(t, err)
	must(t, json.Unmarshal(out, &keys))
	w.secrets.add(keys.PrivateKey)
	must(t, w.Airflow.SetVariable(t.Context(), prefix+"_recipient", keys.Recipient))
	must(t, w.Airflow.SetVariable(t.Context(), prefix+"_private_key", keys.PrivateKey))
	return keys
}

// newestToken returns what the sandbox's ECR issued last. What Airflow cuts or masks depends on its length.
func (w *world) newestToken(t *testing.T) string {
	t.Helper()
	token := w.Sandbox.ECR.LastToken().Password
	if len(token) < 2_000 {
		t.Fatalf("the token has %d characters, and a real one about 2,400", len(token))
	}
	w.secrets.add(token)
	return token
}

// dag is the DAG, or a copy of it.
type dag struct {
	*world
	docker     bool // DockerOperator
	id         string
	connection string
	old        string // the connection's password before any run
}

// deploy deploys the DAG as it is.
func (w *world) deploy(t *testing.T) *dag {
	t.Helper()
	must(t, w.Airflow.Deploy(dags.RefreshDockerTokenFile, dags.RefreshDockerToken))
	return &dag{world: w, id: deployedDAG, connection: "docker_default"}
}

// variant is how a copy differs from the DAG.
type variant struct {
	docker bool              // DockerOperator
	host   string            // of its connection; "": the sandbox's registry
	api    string            // the connection to Airflow; "": airflow-api
	env    map[string]string // added to the environment of all tasks
	edits  []string          // pairs of what is written in the DAG and what takes its place
}

// copy deploys the DAG under another name, with a connection docker_<name>, no retries and no schedule.
func (w *world) copy(t *testing.T, name string, v variant) *dag {
	t.Helper()
	id, text, env := deployedDAG, dags.RefreshDockerToken, v.env
	var operator []string
	if v.docker {
		name, id, env, operator = "in_"+name, dockerDAG, w.containerEnv(v.env), w.containerEdits()
		_, text = dags.Template(dags.Docker)
	}
	d := &dag{world: w, docker: v.docker, id: "refresh_" + name, connection: "docker_" + name}
	d.old = w.setDocker(t, d.connection, cmp.Or(v.host, peers.SandboxHost))
	if len(env) > 0 {
		operator = append(operator, `ENVIRONMENT = {}`, `ENVIRONMENT = `+asJSON(env))
	}
	text = edit(t, text, slices.Concat([]string{
		`DAG_ID = "` + id + `"`, `DAG_ID = "` + d.id + `"`,
		`CONNECTION_IDS = ""`, `CONNECTION_IDS = "` + d.connection + `"`,
		`AIRFLOW_API = "airflow-api"`, `AIRFLOW_API = "` + cmp.Or(v.api, "airflow-api") + `"`,
		`RETRIES = 2`, `RETRIES = 0`,
		`schedule=SCHEDULE`, `schedule=None`,
	}, operator, v.edits)...)
	must(t, w.Airflow.Deploy(d.id+".py", text))
	return d
}

// edit replaces, and fails when there was nothing to replace: then the DAG has changed and the test must follow.
func edit(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("the DAG no longer contains %q", pair[0])
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
}

// run is one run of a DAG.
type run struct {
	*dag
	id, state string
}

// start triggers a run.
func (d *dag) start(t *testing.T) run {
	t.Helper()
	id, err := d.Airflow.Trigger(t.Context(), d.id)
	must(t, err)
	return run{dag: d, id: id}
}

// run triggers a run and waits for its end.
func (d *dag) run(t *testing.T) run {
	t.Helper()
	return d.start(t).wait(t)
}

func (r run) wait(t *testing.T) run {
	t.Helper()
	var err error
	r.state, err = r.Airflow.WaitRun(t.Context(), r.dag.id, r.id, runLimit)
	must(t, err)
	return r
}

// again clears one task of the run, and waits for the run's end.
func (r run) again(t *testing.T, task string) run {
	t.Helper()
	must(t, r.Airflow.Clear(t.Context(), r.dag.id, r.id, task))
	return r.wait(t)
}

func (r run) tasks(t *testing.T) map[string]peers.TaskInstance {
	t.Helper()
	tasks, err := r.Airflow.Tasks(t.Context(), r.dag.id, r.id)
	must(t, err)
	return tasks
}

// log returns the log of a task's last try.
func (r run) log(t *testing.T, task string) string {
	t.Helper()
	text, err := r.Airflow.Log(t.Context(), r.dag.id, r.id, task, r.tasks(t)[task].TryNumber)
	must(t, err)
	return text
}

// result is what the tests read of a step's result.
type result struct {
	Recipient string
	Tokens    []struct {
		Fingerprint string
		Connections []string
		IssuedAt    time.Time `json:"issued_at"`
		ExpiresAt   time.Time `json:"expires_at"`
	}
	Connections []updated
}

type updated struct {
	ID          string `json:"connection_id"`
	Fingerprint string
	Published   bool
}

// result decodes what a task pushed: DockerOperator pushes text, before which Docker providers before 4.5.1 may leave
// lines of the log.
func (r run) result(t *testing.T, task string) (decoded result) {
	t.Helper()
	value, err := r.Airflow.XCom(t.Context(), r.dag.id, r.id, task)
	must(t, err)
	if text := ""; json.Unmarshal(value, &text) == nil {
		value = []byte(text[strings.LastIndexByte(text, '\n')+1:])
	}
	if err := json.Unmarshal(value, &decoded); err != nil {
		t.Fatalf("the XCom of %s is no result: %v\n%s", task, err, value)
	}
	return decoded
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

// wantRed fails unless exactly this task failed, with this exit code, an exception whose text has these words and the
// hint, and only step 3 left a new password.
func (r run) wantRed(t *testing.T, task string, code int, words ...string) {
	t.Helper()
	r.wantStates(t, map[string][]string{
		extract: {"failed", "upstream_failed", "upstream_failed"},
		update:  {"success", "failed", "upstream_failed"},
		test:    {"success", "success", "failed"},
	}[task]...)
	r.wantLog(t, task, "ecr-refresh: error: ", "ecr-refresh: hint: ")
	r.wantException(t, task, map[int]string{1: "AirflowException", 2: "AirflowFailException"}[code],
		append(words, "\nhint: ")...)
	if task != test {
		r.wantPassword(t, r.old)
	}
}

// wantException fails unless the last try of a task ended with this exception, and its text has these words.
func (r run) wantException(t *testing.T, task, class string, words ...string) {
	t.Helper()
	records := r.records(t, task)
	at := slices.IndexFunc(records, func(r peers.Record) bool { return r.Level == "error" && len(r.Exceptions) > 0 })
	if at < 0 {
		t.Fatalf("the log of %s has no exception:\n%s", task, r.log(t, task))
	}
	e := records[at].Exceptions[0]
	missing := slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(e.Text, w) })
	if e.Class != class || missing {
		t.Errorf("%s ended with %s %q, want %s with %q", task, e.Class, e.Text, class, words)
	}
}

// records returns the log of a task's last try.
func (r run) records(t *testing.T, task string) []peers.Record {
	t.Helper()
	all, err := r.Airflow.Records(t.Context(), r.dag.id, r.id, task, r.tasks(t)[task].TryNumber)
	must(t, err)
	return all
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

// wantPassword fails unless Airflow has stored this password.
func (d *dag) wantPassword(t *testing.T, want string) {
	t.Helper()
	if got := d.Password(t, d.connection); got != want {
		t.Errorf("%s holds the password %s, want %s", d.connection, suite.Fingerprint(got), suite.Fingerprint(want))
	}
}

func asJSON(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
