package real

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox/leaks"
)

// wantNoPiece fails when text holds a piece of one of the secrets. It does not show it.
func wantNoPiece(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	reportPiece(t, where, text, leaks.Of(secrets...))
}

func reportPiece(t *testing.T, where, text string, pieces leaks.Pieces) {
	t.Helper()
	if at := pieces.In(text); at >= 0 {
		t.Errorf("%s shows a piece of a secret, at byte %d behind %q", where, at, text[max(0, at-60):at])
	}
}

// wantNoPiece looks at all that Airflow shows of a run.
func (r run) wantNoPiece(t *testing.T, secrets ...string) {
	t.Helper()
	pieces := leaks.Of(secrets...)
	for task, ti := range r.tasks(t) {
		xcom, err := r.Airflow.XCom(t.Context(), r.dag.id, r.id, task)
		must(t, err)
		if len(xcom) == 0 || len(ti.Rendered) == 0 {
			t.Errorf("Airflow shows no XCom or no rendered fields of %s", task)
		}
		for what, text := range map[string]string{
			"XCom": string(xcom), "rendered fields": string(ti.Rendered), "log": r.log(t, task),
		} {
			reportPiece(t, "the "+what+" of "+task, text, pieces)
		}
	}
}

// secretSet collects every secret of a test run.
type secretSet struct{ all sync.Map }

func (s *secretSet) add(secret string) { s.all.Store(secret, true) }

// pieces returns those of every secret that is known by now.
func (s *secretSet) pieces() (known leaks.Pieces) {
	for secret := range s.all.Range {
		known.Add(secret.(string))
	}
	return known
}

// noSecretLeft reads every file that any peer has written (logs, temporary and exchange files) and a dump of Airflow's
// database (XComs, rendered templates, event log) for pieces of every secret of all runs, green and red, and of every
// token that ECR has issued.
//
// Airflow 3.0 fails this by its own default: with the LocalExecutor its scheduler writes the rendered env of every
// task, not yet masked, into its own log at DEBUG, whatever [logging] logging_level says. Package peers gives it the
// airflow_local_settings.py of the README, with which it is clean.
func (w *world) noSecretLeft(t *testing.T) {
	all := w.secrets.pieces()
	all.Add(w.Sandbox.ECR.Passwords()...)
	files := 0
	must(t, filepath.WalkDir(w.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || keepsSecrets(path) {
			return nil // files come and go; dockerd's and the users' passwords are not ours
		}
		files++
		text, err := os.ReadFile(path)
		if err == nil {
			reportPiece(t, path, string(text), all)
		}
		return nil
	}))
	dump, err := w.Airflow.Dump(t.Context())
	must(t, err)
	reportPiece(t, "Airflow's database", dump, all)
	const xcoms, rendered = "xcom(_v2)?", "(rendered_task_instance_fields|rtif_v2)" // the others since Airflow 3.4
	for _, table := range []string{"connection", "variable", "log", xcoms, rendered} {
		if hasRows(dump, "dag_run") && !hasRows(dump, table) {
			t.Errorf("table %s of Airflow's database has no rows in the dump", table)
		}
	}
	if files < 50 {
		t.Errorf("only %d files were found", files)
	}
}

// hasRows reports whether a table has rows in a dump.
func hasRows(dump, table string) bool {
	return regexp.MustCompile(`\nCOPY public\.` + table + ` .*\n[^\\]`).MatchString(dump)
}

// keepsSecrets reports whether a file's purpose is to hold a secret. containerd's database is one of them: a
// container's environment stands in it, in pages that it frees and does not overwrite. Root alone can read it.
func keepsSecrets(path string) bool {
	return filepath.Base(path) == "passwords.json" || strings.HasSuffix(path, "/io.containerd.metadata.v1.bolt/meta.db")
}

// watchArgv reads the command lines of all processes again and again. The function that it returns ends that, and
// returns those of ecr-refresh.
func watchArgv() func() string {
	stop, lines := make(chan struct{}), make(chan string)
	go func() {
		seen := map[string]bool{}
		for tick := time.Tick(10 * time.Millisecond); ; {
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, file := range files {
				if text, _ := os.ReadFile(file); strings.Contains(string(text), "ecr-refresh") {
					seen[string(text)] = true
				}
			}
			select {
			case <-tick:
			case <-stop:
				lines <- strings.Join(slices.Collect(maps.Keys(seen)), "\n")
				return
			}
		}
	}()
	return func() string {
		close(stop)
		return <-lines
	}
}
