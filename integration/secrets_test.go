package integration

import (
	"encoding/base64"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// piece is how many characters of a secret in a row are too many to show.
const piece = 24

// pieces returns every piece of a secret in each form in which a program may show it: as it is, URL-quoted, and as
// base64 of a text that has it at any offset. A secret shorter than a piece is one piece.
func pieces(secret string) map[string]bool {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	for offset := range min(3, len(secret)) {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, encoding.EncodeToString([]byte(secret[offset:])))
		}
	}
	all := map[string]bool{}
	for _, form := range forms {
		for i := range max(1, len(form)-piece+1) {
			all[form[i:min(i+piece, len(form))]] = true
		}
	}
	return all
}

// wantNoPiece fails when text holds a piece of one of the secrets. It does not show it.
func wantNoPiece(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	reportPieces(t, where, text, piecesOf(secrets))
}

func piecesOf(secrets []string) map[string]bool {
	all := map[string]bool{}
	for _, secret := range secrets {
		maps.Copy(all, pieces(secret))
	}
	return all
}

func reportPieces(t *testing.T, where, text string, pieces map[string]bool) {
	t.Helper()
	for i := 0; i+piece <= len(text); i++ {
		if pieces[text[i:i+piece]] {
			t.Errorf("%s shows a piece of a secret, at byte %d", where, i)
			return
		}
	}
	for short := range pieces {
		if len(short) < piece && strings.Contains(text, short) {
			t.Errorf("%s shows a short secret of %d bytes", where, len(short))
		}
	}
}

// wantNoPiece looks at all that Airflow shows of a run.
func (r run) wantNoPiece(t *testing.T, secrets ...string) {
	t.Helper()
	pieces := piecesOf(secrets)
	for task, ti := range r.tasks(t) {
		xcom, err := r.Airflow.XCom(t.Context(), r.dag, r.id, task)
		must(t, err)
		if len(xcom) == 0 || len(ti.Rendered) == 0 {
			t.Errorf("Airflow shows no XCom or no rendered fields of %s", task)
		}
		reportPieces(t, "the XCom of "+task, string(xcom), pieces)
		reportPieces(t, "the rendered fields of "+task, string(ti.Rendered), pieces)
		reportPieces(t, "the log of "+task, r.log(t, task), pieces)
	}
}

// secretSet collects every secret of a test run.
type secretSet struct {
	mu  sync.Mutex
	all map[string]bool
}

func (s *secretSet) add(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]bool{}
	}
	s.all[secret] = true
}

// noSecretLeft reads every file that any peer has written (logs, Airflow's database, temporary and exchange files) for
// pieces of every secret of all runs, green and red.
//
// Airflow 3.0 fails this by its own default: with the LocalExecutor its scheduler writes the rendered env of every task,
// not yet masked, into its own log at DEBUG, whatever [logging] logging_level says. Package peers gives it the
// airflow_local_settings.py of the README, with which it is clean.
func (w *world) noSecretLeft(t *testing.T) {
	all := map[string]bool{}
	for secret := range w.secrets.all {
		for p := range pieces(secret) {
			all[p] = true
		}
	}
	files := 0
	must(t, filepath.WalkDir(w.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || keepsSecrets(path) {
			return nil // files come and go; dockerd's and the users' passwords are not ours
		}
		files++
		text, err := os.ReadFile(path)
		if err == nil {
			reportPieces(t, path, string(text), all)
		}
		return nil
	}))
	dump, err := w.Airflow.Dump(t.Context())
	must(t, err)
	reportPieces(t, "Airflow's database", dump, all)
	if files < 50 {
		t.Errorf("only %d files were found", files)
	}
}

// keepsSecrets tells the files whose purpose is to hold a secret. containerd's database is one of them: a container's
// environment stands in it, in pages that it frees and does not overwrite. wantEngineClosed says who can read it.
func keepsSecrets(path string) bool {
	return filepath.Base(path) == "passwords.json" || strings.HasSuffix(path, "/io.containerd.metadata.v1.bolt/meta.db")
}

// watchArgv reads the command lines of all processes again and again. The function that it returns ends that, and
// returns those of ecr-refresh.
func watchArgv() func() string {
	stop, done := make(chan struct{}), make(chan struct{})
	seen := map[string]bool{}
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				readArgv(seen)
			}
		}
	}()
	return func() string {
		close(stop)
		<-done
		var lines []string
		for line := range seen {
			if strings.Contains(line, "ecr-refresh") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
}

func readArgv(seen map[string]bool) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		seen[string(text)] = true
	}
}
