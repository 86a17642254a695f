package real

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/readme"
)

// TestRealDocsCompose follows the page on Airflow's docker-compose.yaml as far as this goes without its images: FAB,
// Celery, Redis and PostgreSQL, with the worker's queues, the API server's name and the Fernet key of the page, whose
// commands are pasted. A script stands for docker compose: what is run in a container is run as that service's process.
func TestRealDocsCompose(t *testing.T) {
	override := page(t, "deploy/compose.md", "compose")[0].Text
	queues := regexp.MustCompile(`command: celery worker -q (\S+)`).FindStringSubmatch(override)
	blocks := page(t, "deploy/compose.md", "composed")
	host := regexp.MustCompile(`http://(\S+):8080`).FindStringSubmatch(blocks[1].Text)
	if queues == nil || host == nil || !strings.Contains(override, "AIRFLOW__CORE__FERNET_KEY: ${FERNET_KEY:") {
		t.Fatal("the page names no queues, no host or no Fernet key")
	}
	dir := t.TempDir()
	compose{dir: dir}.paste(t, blocks[:1], "/var/run/docker.sock", os.DevNull)
	dotenv, err := os.ReadFile(filepath.Join(dir, ".env"))
	must(t, err)
	fernet := regexp.MustCompile(`(?m)^FERNET_KEY=(\S+)$`).FindSubmatch(dotenv)
	if fernet == nil || !strings.Contains(string(dotenv), "DOCKER_GID=0\n") {
		t.Fatalf(".env is %q", dotenv)
	}
	w := start(t, peers.Options{AuthManager: peers.FABAuthManager, Workers: []string{"worker"}, Queues: queues[1],
		Host: host[1], Env: []string{"AIRFLOW__CORE__FERNET_KEY=" + string(fernet[1])}})
	worker, admin := w.Airflow.Workers()[0], w.Airflow.Users["admin"]
	out := compose{w, dir}.paste(t, blocks[1:], "refresher", "composer",
		"ADMIN_LOGIN=airflow", "ADMIN_LOGIN="+admin.User, "ADMIN_PASSWORD=airflow", "ADMIN_PASSWORD="+admin.Password,
		"/tmp/ecr-refresh.env", filepath.Join(worker.Home, "ecr-refresh.env"),
		"/opt/airflow/dags", filepath.Join(worker.Home, "dags"))
	for _, want := range []string{"airflow-api account composer: can log in", "last run", "succeeded"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	d := &dag{world: w, id: deployedDAG, connection: "docker_default"}
	r := d.run(t)
	r.wantGreen(t)
	if user := r.tasks(t)[test].User; user != worker.User {
		t.Errorf("step 3 ran as %s, want %s", user, worker.User)
	}
	d.wantPassword(t, w.newestToken(t)) // which fails unless it is stored encrypted
}

// compose stands for a project of docker compose.
type compose struct {
	*world
	dir string
}

// dockerCompose runs "docker compose" as far as the page needs it. The services share the folder of DAGs.
const dockerCompose = `#!/bin/bash
set -euo pipefail
[ "$1" = compose ]; shift
case $1 in build | up) exit ;; exec) shift ;; *) echo "unknown: $*" >&2; exit 2 ;; esac
stdin=/dev/null variables=()
while :; do
  case $1 in -T) stdin=/dev/stdin; shift ;; -e) variables+=("$2"); shift 2 ;; *) break ;; esac
done
service=$1; shift
case $service in
  airflow-apiserver) env -i %s "${variables[@]}" "$@" <$stdin ;;
  airflow-worker)
    env -i %s "${variables[@]}" %s "$@" <$stdin
    if ls %[4]s/*.py >/dev/null 2>&1; then cp %[4]s/*.py %[5]s/; fi ;;
  *) echo "no service $service" >&2; exit 2 ;;
esac
`

// paste runs blocks of the page in the project's folder.
func (c compose) paste(t *testing.T, blocks []readme.Block, replacements ...string) string {
	t.Helper()
	var script string
	if c.world != nil {
		worker := c.Airflow.Workers()[0]
		argv, env := worker.Shell()
		script = fmt.Sprintf(dockerCompose, quoted(c.Airflow.Environ()), quoted(env), quoted(argv),
			quoted([]string{filepath.Join(worker.Home, "dags")}), quoted([]string{c.Airflow.DAGs}))
	} else {
		script = "#!/bin/sh\n"
	}
	must(t, os.MkdirAll(filepath.Join(c.dir, "bin"), 0o700))
	must(t, os.WriteFile(filepath.Join(c.dir, "bin", "docker"), []byte(script), 0o700))
	env := []string{"PATH=" + filepath.Join(c.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + c.dir}
	out, err := readme.Paste(blocks, c.dir, env, replacements...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// quoted returns words for a shell.
func quoted(words []string) string {
	var all []string
	for _, word := range words {
		all = append(all, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return strings.Join(all, " ")
}
