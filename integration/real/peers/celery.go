package peers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// sharedQueue is served by all workers, as the README asks for.
const sharedQueue = "systemqueue"

// celery is what the CeleryExecutor has beside the LocalExecutor: a broker, and workers. nil stands for the latter.
type celery struct {
	redis   *redis
	workers []*Worker
}

// Worker is a Celery worker that stands for a host of its own: an OS user, and a home with AIRFLOW_HOME, DAG folder,
// temporary folder and ecr-refresh in it that no other worker can enter. It knows no key of Airflow's, and of Airflow's
// database no more than Celery's results (under Airflow 3.0 its command line asks for all of it).
type Worker struct {
	User  string // OS user
	Home  string
	Queue string // only this worker serves it

	queues string // that it serves
	owner  *syscall.Credential
	inside []string // a command that runs another one as the worker runs tasks, but for the environment
	env    []string
	proc   *process
}

func newCelery(dir string, o Options) (*celery, error) {
	if len(o.Workers) == 0 {
		return nil, nil
	}
	broker, err := newRedis(dir)
	if err != nil {
		return nil, err
	}
	c := &celery{redis: broker}
	for _, name := range o.Workers {
		w := &Worker{User: UserName(name), Queue: "worker-" + name}
		w.Home, w.queues = filepath.Join(dir, w.User), cmp.Or(o.Queues, sharedQueue+","+w.Queue)
		c.workers = append(c.workers, w)
	}
	return c, nil
}

// settings are those of all of Airflow's processes.
func (c *celery) settings(db *postgres) []string {
	if c == nil {
		return nil
	}
	return []string{
		"AIRFLOW__CORE__EXECUTOR=CeleryExecutor",
		"AIRFLOW__CELERY__BROKER_URL=" + c.redis.url(),
		"AIRFLOW__CELERY__RESULT_BACKEND=db+" + db.url("psycopg2"),
		"AIRFLOW__CELERY__SYNC_PARALLELISM=1",
	}
}

func (c *celery) start(ctx context.Context, a *Airflow) error {
	if c == nil {
		return nil
	}
	if err := errors.Join(c.redis.start(ctx), removeUsers(ctx)); err != nil {
		return err
	}
	for _, w := range c.workers {
		if err := w.start(ctx, a); err != nil {
			return fmt.Errorf("start worker %s: %w", w.User, err)
		}
	}
	for _, w := range c.workers {
		if err := w.proc.ready(ctx, w.ready); err != nil {
			return err
		}
	}
	return nil
}

// processes are the workers that run.
func (c *celery) processes() (all []*process) {
	if c == nil {
		return nil
	}
	for _, w := range c.workers {
		if w.proc != nil {
			all = append(all, w.proc)
		}
	}
	return all
}

// stop ends what the workers needed; they have been stopped before.
func (c *celery) stop() {
	if c == nil {
		return
	}
	c.redis.stop()
	_ = removeUsers(context.Background()) // whom it leaves, the next run removes
}

// deploy copies a DAG file to each worker.
func (c *celery) deploy(name, text string) error {
	if c == nil {
		return nil
	}
	for _, w := range c.workers {
		if err := writeOwned(w.owner, w.path("dags", name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// log reads the log of one try of a task where it was written. Airflow's API cannot show it: it asks every worker at
// one port, and these workers share one machine.
func (c *celery) log(dag, run, task string, try int) ([]map[string]any, error) {
	name := filepath.Join("airflow", "logs", "dag_id="+dag, "run_id="+run, "task_id="+task,
		fmt.Sprintf("attempt=%d.log", try))
	for _, w := range c.workers {
		text, err := os.ReadFile(w.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return events(string(text)), err
	}
	return nil, fmt.Errorf("no worker has the log %s", name)
}

func events(text string) []map[string]any {
	var all []map[string]any
	for line := range strings.Lines(text) {
		event := map[string]any{}
		if json.Unmarshal([]byte(line), &event) != nil {
			event["event"] = line
		}
		all = append(all, event)
	}
	return all
}

func (w *Worker) path(names ...string) string {
	return filepath.Join(append([]string{w.Home}, names...)...)
}

// start makes the user and the home, and runs the worker there.
func (w *Worker) start(ctx context.Context, a *Airflow) (err error) {
	if err = addUser(ctx, w.User, w.Home); err != nil {
		return err
	}
	if w.owner, err = credential(w.User); err != nil {
		return err
	}
	if err = w.furnish(a); err != nil {
		return err
	}
	if w.inside, err = w.enter(ctx, a.bin("python")); err != nil {
		return err
	}
	w.env = w.environ(a)
	argv := append(slices.Clone(w.inside), a.bin("airflow"), "celery", "worker",
		"--queues", w.queues, "--concurrency", "1",
		"--skip-serve-logs", "--without-mingle", "--without-gossip")
	w.proc, err = start(w.User, filepath.Dir(w.Home), w.env, argv...)
	return err
}

// Shell returns a command that runs another one as the worker runs tasks, and the environment of tasks.
func (w *Worker) Shell() (argv, env []string) { return slices.Clone(w.inside), slices.Clone(w.env) }

// furnish makes the home, with copies of what an administrator puts on each worker.
func (w *Worker) furnish(a *Airflow) error {
	for _, dir := range []string{"", "airflow", "airflow/config", "dags", "tmp", "bin"} {
		if err := makeOwned(w.owner, w.path(dir)); err != nil {
			return err
		}
	}
	if err := w.copyIn(lookup(a.env, "ECR_REFRESH_BIN"), "bin/ecr-refresh", 0o700); err != nil {
		return err
	}
	if err := w.copyIn(lookup(a.env, "ECR_REFRESH_CA_FILE"), "ca.pem", 0o600); err != nil {
		return err
	}
	err := w.copyIn(a.path(localSettings), filepath.Join("airflow", localSettings), 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Airflow 3.0 alone has it
	}
	return err
}

// copyIn copies a file into the home.
func (w *Worker) copyIn(from, to string, mode os.FileMode) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeOwned(w.owner, w.path(to), text, mode)
}

// lookup returns the value of a variable; the last one counts.
func lookup(env []string, name string) (value string) {
	for _, entry := range env {
		if text, found := strings.CutPrefix(entry, name+"="); found {
			value = text
		}
	}
	return value
}

// environ is the environment of the worker and of its tasks: Airflow's without what belongs to its servers.
func (w *Worker) environ(a *Airflow) []string {
	servers := []string{
		"AIRFLOW__CORE__FERNET_KEY=", "AIRFLOW__API__SECRET_KEY=", "AIRFLOW__API_AUTH__", "AIRFLOW__CORE__SIMPLE_AUTH_",
		"ECR_REFRESH_BIN=",
	}
	if !strings.HasPrefix(a.release, "3.0.") {
		servers = append(servers, "AIRFLOW__DATABASE__")
	}
	env := slices.DeleteFunc(a.Environ(), func(entry string) bool {
		return slices.ContainsFunc(servers, func(prefix string) bool { return strings.HasPrefix(entry, prefix) })
	})
	return append(env,
		"PATH="+w.path("bin")+string(os.PathListSeparator)+os.Getenv("PATH"),
		"HOME="+w.Home,
		"TMPDIR="+w.path("tmp"),
		"AIRFLOW_HOME="+w.path("airflow"),
		"AIRFLOW__CORE__DAGS_FOLDER="+w.path("dags"),
		"ECR_REFRESH_CA_FILE="+w.path("ca.pem"),
	)
}

// enter is a command that runs another one as the worker's user, on a host of that name as far as programs can see.
// (The provider's --celery-hostname would do for Celery, but in 3.17 it makes the worker's children wait for ever.)
// Python and the virtualenv may lie in root's home, which that user cannot enter: in a mount namespace of the worker's
// own, nothing else is left there.
func (w *Worker) enter(ctx context.Context, python string) ([]string, error) {
	prefixes, err := run(ctx, cleanEnv(), python, "-c", "import sys; print(sys.prefix, sys.base_prefix, sep='\\n')")
	if err != nil {
		return nil, err
	}
	script := append([]string{"set -e", "umask 022", `echo "$0" >/proc/sys/kernel/hostname`},
		expose(strings.Split(prefixes, "\n"), w.path("tmp"))...)
	script = append(script, "cd "+quoted(w.Home), `exec setpriv --reuid "$0" --regid "$0" --init-groups -- "$@"`)
	return []string{"unshare", "--mount", "--uts", "sh", "-c", strings.Join(script, "\n"), w.User}, nil
}

// expose returns the shell commands that put trees alone into those folders above them that are closed to others.
func expose(trees []string, tmp string) (commands []string) {
	var closed, hold, release []string
	for i, tree := range trees {
		above := closedAbove(tree)
		if above == "" {
			continue
		}
		held := quoted(filepath.Join(tmp, fmt.Sprint("hold-", i)))
		hold = append(hold, "mkdir "+held, "mount --bind "+quoted(tree)+" "+held)
		release = append(release, "mkdir -p "+quoted(tree), "mount --bind "+held+" "+quoted(tree), "umount "+held,
			"rmdir "+held)
		if !slices.Contains(closed, above) {
			closed = append(closed, above)
		}
	}
	for _, dir := range closed {
		hold = append(hold, "mount -t tmpfs -o mode=755 none "+quoted(dir))
	}
	return append(hold, release...)
}

// closedAbove returns the topmost folder above path that others may not enter.
func closedAbove(path string) (found string) {
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			found = dir
		}
	}
	return found
}

// quoted is a word for sh.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func (w *Worker) ready(context.Context) error {
	text, err := os.ReadFile(w.proc.log)
	if err == nil && !strings.Contains(string(text), "celery@"+w.User+" ready.") {
		err = errors.New("it is not ready yet")
	}
	return err
}
