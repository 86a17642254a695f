package real

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

// What one run has to bear: regions of one identity, and connections to the registries there.
const (
	manyRegions     = 50
	manyConnections = 1_000
)

// many runs the DAG over 1,000 connections to the registries of 50 regions: 50 tokens in the documents, in the
// environments of two tasks, and on one bulk update.
func (w *world) many(t *testing.T) {
	registry := func(i int) string {
		return fmt.Sprintf("%s.dkr.ecr.eu-test-%d.amazonaws.com", peers.SandboxAccount, 1+i%manyRegions)
	}
	var targets []map[string]string
	for i, id := range w.setAlike(t, "docker_many", manyConnections, registry) {
		targets = append(targets, map[string]string{"connection_id": id, "registry": registry(i)})
	}
	must(t, w.Airflow.SetVariable(t.Context(), "many_targets", asJSON(targets)))
	r := w.copy(t, "many", variant{edits: []string{
		`"ecr_targets"`, `"many_targets"`, `CONNECTION_IDS = "docker_many"`, `CONNECTION_IDS = ""`}}).run(t)
	r.wantGreen(t)
	r.wantMany(t)
}

// setAlike makes n connections with an old password, and returns their ids. It is one password for all: Airflow's
// masker searches for every one that it has seen, and on 3.0 takes minutes to learn a thousand.
func (w *world) setAlike(t *testing.T, prefix string, n int, host func(int) string) (ids []string) {
	t.Helper()
	var all []peers.Connection
	old := "old-password-" + rand.Text()
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s_%04d", prefix, i))
		all = append(all, peers.Connection{ID: ids[i], Type: "docker", Host: new(host(i)), Login: new("AWS"),
			Password: &old})
	}
	for some := range slices.Chunk(all, 100) {
		must(t, w.Airflow.SetConnections(t.Context(), some))
	}
	return ids
}

// wantMany fails unless each connection's stored password is the token of its region, step 3 has tested each, and
// Airflow shows no piece of any.
func (r run) wantMany(t *testing.T) {
	t.Helper()
	want, tokens := map[string]string{}, r.result(t, extract).Tokens
	for _, token := range tokens {
		for _, id := range token.Connections {
			want[id] = token.Fingerprint
		}
	}
	stored, err := r.Airflow.StoredPasswords(t.Context(), "^docker_many_")
	must(t, err)
	got, passwords := map[string]string{}, map[string]bool{}
	for id, password := range stored {
		r.secrets.add(password)
		got[id], passwords[password] = suite.Fingerprint(password), true
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("a connection does not hold the token of its region")
	}
	counts := []int{len(tokens), len(passwords), len(got), len(r.result(t, test).Connections)}
	if !slices.Equal(counts, []int{manyRegions, manyRegions, manyConnections, manyConnections}) {
		t.Errorf("%d: the numbers of tokens, of passwords, of connections and of tested connections", counts)
	}
	r.wantNoPiece(t, slices.Collect(maps.Keys(passwords))...)
}

// manyRestarted are connections for several calls of the bulk API.
const manyRestarted = 250

// restarted: Airflow's API server ends in the middle of the bulk update of many connections, and comes back.
func (w *world) restarted(t *testing.T) {
	h := w.shell(t, "")
	h.ConnectionID = strings.Join(w.setRestarted(t), ",")
	h.Extract(t).Want(t, 0)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			w.setRestarted(t)
			w.wantEitherWay(t, w.interrupted(t, h, signal))
			h.Update(t).Want(t, 0)
			if n := w.fresh(t); n != manyRestarted {
				t.Errorf("after the second run %d of %d connections hold the new token", n, manyRestarted)
			}
		})
	}
}

// setRestarted creates the connections, or restores them as they were, and returns their ids.
func (w *world) setRestarted(t *testing.T) []string {
	t.Helper()
	return w.setAlike(t, "docker_restart", manyRestarted, func(int) string { return w.Registry.Host })
}

// interrupted runs step 2, and restarts Airflow's API server by a signal while it changes connections.
func (w *world) interrupted(t *testing.T, h suite.Shell, signal syscall.Signal) suite.Outcome {
	t.Helper()
	cmd := h.Command(t, "update-docker-connection", "--in", "token.json", "--log-level", "debug")
	var stdout, log strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	restarted := false
	for lines := bufio.NewReader(stderr); err == nil; {
		var line string
		line, err = lines.ReadString('\n')
		log.WriteString(line)
		if !restarted && strings.Contains(line, "method=PATCH") {
			restarted = true
			must(t, w.Airflow.RestartAPIServer(t.Context(), signal))
		}
	}
	_ = cmd.Wait() // its exit code says more
	if !restarted {
		t.Errorf("it has changed nothing:\n%s", log.String())
	}
	return suite.Outcome{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: log.String()}
}

// wantEitherWay: what is not published has an error line that names Airflow, and holds the old password. (It may be
// reported for what is, too: the answer can be lost.) Where each has one, the step is red.
func (w *world) wantEitherWay(t *testing.T, o suite.Outcome) {
	t.Helper()
	fresh := w.fresh(t)
	t.Logf("exit code %d, %d of %d connections hold the new token", o.Code, fresh, manyRestarted)
	reported := strings.Count(o.Stderr, "ecr-refresh: error: update connection ")
	if more := regexp.MustCompile(`error: (\d+) more targets failed`).FindStringSubmatch(o.Stderr); more != nil {
		n, _ := strconv.Atoi(more[1])
		reported += n
	}
	switch {
	case reported < manyRestarted-fresh:
		t.Errorf("%d errors are reported for %d connections that are not updated:\n%s",
			reported, manyRestarted-fresh, o.Stderr)
	case reported == manyRestarted:
		o.Want(t, 1, "airflow", "ecr-refresh: hint: check that airflow at ")
	default:
		o.Want(t, 0)
	}
}

// fresh counts the connections that hold the new token, and fails when one holds neither that nor its old password.
func (w *world) fresh(t *testing.T) (n int) {
	t.Helper()
	stored, err := w.Airflow.StoredPasswords(t.Context(), "^docker_restart_")
	must(t, err)
	for id, password := range stored {
		if password == w.Issued() {
			n++
		} else if !strings.HasPrefix(password, "old-password-") {
			t.Errorf("%s holds neither its old password nor the new token", id)
		}
	}
	if len(stored) != manyRestarted {
		t.Errorf("there are %d connections, want %d", len(stored), manyRestarted)
	}
	return n
}
