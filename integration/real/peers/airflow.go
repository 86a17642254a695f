package peers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Airflow is a real Airflow on PostgreSQL: API server, scheduler and DAG processor, with the LocalExecutor or with
// Celery workers.
type Airflow struct {
	URL   string // its UI and its API
	Port  int
	Home  string           // AIRFLOW_HOME, with the logs of tasks
	DAGs  string           // the DAG folder
	Users map[string]Login // by what they may do: admin, op, viewer; reader, editor (FAB), operator (Keycloak)

	listen  string // the address of its API server
	release string
	venv    string
	auth    authManager
	db      *postgres
	celery  *celery
	env     []string
	procs   []*process
	rest    restClient
}

// newAirflow lays out an Airflow in dir; extra is added to the environment of its processes, hence of its tasks.
func newAirflow(dir, venv string, o Options, extra []string) (*Airflow, error) {
	host, listen, port, err := address(o.Host)
	if err != nil {
		return nil, err
	}
	a := &Airflow{
		URL:     fmt.Sprintf("http://%s:%d", host, port),
		Port:    port,
		listen:  listen,
		Home:    filepath.Join(dir, "airflow"),
		DAGs:    filepath.Join(dir, "dags"),
		release: o.Airflow,
		venv:    venv,
	}
	if a.auth, err = newAuthManager(o.AuthManager, a); err != nil {
		return nil, err
	}
	a.Users = newLogins(a.auth.users())
	if a.db, err = newPostgres(dir); err != nil {
		return nil, err
	}
	if a.celery, err = newCelery(dir, o); err != nil {
		return nil, err
	}
	a.env = cleanEnv(slices.Concat(a.settings(), a.auth.settings(), a.celery.settings(a.db), extra)...)
	a.rest = newRestClient(a.URL, a.Users["admin"])
	return a, a.writeHome(dir)
}

// address returns where the API server is: under a name, at an address of its own, or at 127.0.0.1.
func address(name string) (host, listen string, port int, err error) {
	if name == "" {
		port, err = freePort("127.0.0.1")
		return "127.0.0.1", "127.0.0.1", port, err
	}
	if listen, err = freeLoopback(8080); err == nil {
		err = addHosts(listen, name)
	}
	return name, listen, 8080, err
}

func (a *Airflow) writeHome(dir string) error {
	for _, folder := range []string{
		a.Home, a.path("config"), a.DAGs, filepath.Join(dir, "home"), filepath.Join(dir, "tmp"),
	} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(a.release, "3.0.") {
		return nil
	}
	return os.WriteFile(a.path(localSettings), []byte(quietSupervisor), 0o600)
}

// localSettings is a module that all of Airflow's processes load from AIRFLOW_HOME.
const localSettings = "config/airflow_local_settings.py"

// quietSupervisor keeps the secrets of all tasks out of the output of Airflow 3.0's scheduler. What supervises a task
// there writes every message of the task at level DEBUG, whatever [logging] logging_level says (nobody configures
// structlog in that process), and one of them is the rendered env before it is masked. docs/deploy recommends the
// same.
const quietSupervisor = `import logging

import structlog

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
`

func (a *Airflow) path(name string) string { return filepath.Join(a.Home, name) }

// settings are Airflow's own defaults but for places, secrets, and the pauses that would only make a test longer.
func (a *Airflow) settings() []string {
	dir := filepath.Dir(a.Home)
	fernet := make([]byte, 32)
	_, _ = rand.Read(fernet) // never fails
	return []string{
		"PATH=" + filepath.Join(a.venv, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + filepath.Join(dir, "home"),
		"TMPDIR=" + filepath.Join(dir, "tmp"),
		"AIRFLOW_HOME=" + a.Home,
		"AIRFLOW__CORE__DAGS_FOLDER=" + a.DAGs,
		"AIRFLOW__CORE__LOAD_EXAMPLES=False",
		"AIRFLOW__CORE__EXECUTOR=LocalExecutor",
		"AIRFLOW__CORE__PARALLELISM=4",
		"AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG=4",
		"AIRFLOW__CORE__FERNET_KEY=" + base64.URLEncoding.EncodeToString(fernet),
		"AIRFLOW__CORE__EXECUTION_API_SERVER_URL=" + a.URL + "/execution/",
		"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=" + a.db.url("psycopg2"),
		"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC=" + a.db.url("asyncpg"),
		"AIRFLOW__API__BASE_URL=" + a.URL,
		"AIRFLOW__API__WORKERS=1",
		"AIRFLOW__API__SECRET_KEY=" + rand.Text(),
		"AIRFLOW__API_AUTH__JWT_SECRET=" + rand.Text() + rand.Text() + rand.Text(),
		"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=5",
		"AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL=5",
		"AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES=1",
		"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.2",
		"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL=1",
		"AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False",
	}
}

// migrate makes the database, and the users.
func (a *Airflow) migrate(ctx context.Context) error {
	err := together(func() error { return a.auth.start(ctx) }, func() error {
		if err := a.db.start(ctx); err != nil {
			return err
		}
		if _, err := a.CLI(ctx, "db", "migrate"); err != nil {
			return fmt.Errorf("make airflow's database: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.auth.prepare(ctx, a)
}

// start runs the three processes and waits until each reports to be healthy.
func (a *Airflow) start(ctx context.Context) error {
	for name, args := range map[string][]string{
		apiServer: a.apiServer(), "scheduler": {"--skip-serve-logs"}, "dag-processor": nil,
	} {
		if err := a.startPart(name, args); err != nil {
			return err
		}
	}
	if err := a.celery.start(ctx, a); err != nil {
		return err
	}
	for _, p := range a.procs {
		if err := p.ready(ctx, a.healthy); err != nil {
			return err
		}
	}
	return nil
}

const apiServer = "api-server"

func (a *Airflow) apiServer() []string {
	return []string{"--host", a.listen, "--port", fmt.Sprint(a.Port)}
}

func (a *Airflow) startPart(name string, args []string) error {
	p, err := start("airflow-"+name, filepath.Dir(a.Home), a.env, append([]string{a.bin("airflow"), name}, args...)...)
	if err == nil {
		a.procs = append(a.procs, p)
	}
	return err
}

// RestartAPIServer ends the API server by a signal, starts another one and waits until it is healthy. SIGTERM lets it
// finish the requests that it has begun; SIGKILL does not.
func (a *Airflow) RestartAPIServer(ctx context.Context, signal syscall.Signal) error {
	ctx, cancel := withDeadline(ctx, startWithin, "restarting airflow's API server")
	defer cancel()
	at := slices.IndexFunc(a.procs, func(p *process) bool { return p.name == "airflow-"+apiServer })
	_ = syscall.Kill(-a.procs[at].pid, signal)
	a.procs[at].stop()
	a.procs = slices.Delete(a.procs, at, at+1)
	if err := a.startPart(apiServer, a.apiServer()); err != nil {
		return err
	}
	return a.procs[len(a.procs)-1].ready(ctx, a.healthy)
}

// StartStranger starts one more API server, which signs and knows the JWTs of another secret, and returns its URL.
func (a *Airflow) StartStranger(ctx context.Context) (url string, err error) {
	ctx, cancel := withDeadline(ctx, startWithin, "starting another API server")
	defer cancel()
	port, err := freePort("127.0.0.1")
	if err != nil {
		return "", err
	}
	// the last one counts
	env := append(slices.Clone(a.env), "AIRFLOW__API_AUTH__JWT_SECRET="+rand.Text()+rand.Text()+rand.Text())
	p, err := start("airflow-stranger", filepath.Dir(a.Home), env,
		a.bin("airflow"), "api-server", "--host", "127.0.0.1", "--port", fmt.Sprint(port))
	if err != nil {
		return "", err
	}
	a.procs = append(a.procs, p)
	return fmt.Sprintf("http://127.0.0.1:%d", port), p.ready(ctx, listening("tcp", fmt.Sprintf("127.0.0.1:%d", port)))
}

func (a *Airflow) healthy(ctx context.Context) error {
	type part struct{ Status string }
	var health struct {
		Metadatabase, Scheduler part
		DAGProcessor            part `json:"dag_processor"`
	}
	if err := a.rest.once(ctx, "GET", "/api/v2/monitor/health", "", nil, &health); err != nil {
		return err
	}
	for _, p := range []part{health.Metadatabase, health.Scheduler, health.DAGProcessor} {
		if p.Status != "healthy" {
			return fmt.Errorf("airflow's health is %+v", health)
		}
	}
	return nil
}

func (a *Airflow) stop() {
	var wait sync.WaitGroup
	for _, p := range slices.Concat(a.procs, a.celery.processes()) {
		wait.Go(p.stop)
	}
	wait.Wait()
	a.procs = nil
	a.celery.stop()
	a.auth.stop()
	a.db.stop()
}

func (a *Airflow) bin(name string) string { return filepath.Join(a.venv, "bin", name) }

// Environ returns the environment of Airflow's processes, and so of its tasks.
func (a *Airflow) Environ() []string { return slices.Clone(a.env) }

// CLI runs Airflow's command line beside the running Airflow, as an administrator on its host does.
func (a *Airflow) CLI(ctx context.Context, args ...string) (string, error) {
	return run(ctx, a.env, append([]string{a.bin("airflow")}, args...)...)
}

func (a *Airflow) python(ctx context.Context, script string, args ...string) (string, error) {
	return run(ctx, a.env, append([]string{a.bin("python"), "-c", script}, args...)...)
}

const storedPasswords = `
import json, os, psycopg2, sys
from cryptography.fernet import Fernet
key = Fernet(os.environ["AIRFLOW__CORE__FERNET_KEY"])
cursor = psycopg2.connect(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")).cursor()
cursor.execute("SELECT conn_id, password, is_encrypted FROM connection WHERE conn_id ~ %s", sys.argv[1:])
rows = cursor.fetchall()
if any(password and not encrypted for _, password, encrypted in rows): sys.exit("a password is not encrypted")
print(json.dumps({name: key.decrypt(password.encode()).decode() if password else "" for name, password, _ in rows}))
`

// StoredPasswords decrypts what Airflow's database holds as the passwords of the connections whose ids fit a regular
// expression; no API hands them out.
func (a *Airflow) StoredPasswords(ctx context.Context, ids string) (map[string]string, error) {
	text, err := a.python(ctx, storedPasswords, ids)
	if err != nil {
		return nil, err
	}
	var all map[string]string
	return all, json.Unmarshal([]byte(text), &all)
}

// StoredPassword is StoredPasswords of one connection.
func (a *Airflow) StoredPassword(ctx context.Context, connection string) (string, error) {
	all, err := a.StoredPasswords(ctx, "^"+regexp.QuoteMeta(connection)+"$")
	if err != nil {
		return "", err
	}
	password, found := all[connection]
	if !found {
		return "", fmt.Errorf("airflow has no connection %q", connection)
	}
	return password, nil
}

const setXCom = `
import os, psycopg2, sys
connection = psycopg2.connect(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", ""))
cursor = connection.cursor()
cursor.execute("UPDATE xcom SET value = %s WHERE dag_id = %s AND run_id = %s AND task_id = %s "
               "AND key = 'return_value'", sys.argv[1:])
if cursor.rowcount != 1: sys.exit("no such XCom")
connection.commit()
`

// SetXCom changes what a task pushed as its result. It does so in the database: Airflow's API before 3.2 writes an XCom
// as the JSON of its JSON, which a task then reads as a text (update_xcom_entry in
// api_fastapi/core_api/routes/public/xcom.py).
func (a *Airflow) SetXCom(ctx context.Context, dag, run, task string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = a.python(ctx, setXCom, string(text), dag, run, task)
	return err
}

// Dump returns all that Airflow has stored in its database, as text.
func (a *Airflow) Dump(ctx context.Context) (string, error) { return a.db.dump(ctx) }

// Keycloak is what keeps users and rights, or nil.
func (a *Airflow) Keycloak() *Keycloak {
	k, _ := a.auth.(*Keycloak)
	return k
}

// Workers are the Celery workers, in the order of Options.Workers.
func (a *Airflow) Workers() []*Worker { return a.celery.workers }

// Deploy writes a DAG file into the DAG folder, and into that of each worker.
func (a *Airflow) Deploy(name, text string) error {
	if err := a.celery.deploy(name, text); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(a.DAGs, name), []byte(text), 0o600)
}

// cleanEnv is an environment with nothing of the caller's but PATH; extra wins.
func cleanEnv(extra ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LANG=C.UTF-8"}, extra...)
}

// withDeadline bounds a wait that has no deadline of its own.
func withDeadline(ctx context.Context, d time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%s takes longer than %s", strings.TrimSpace(what), d))
}
