package real

import (
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

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
	targets := w.setMany(t)
	must(t, w.Airflow.SetVariable(t.Context(), "many_targets", asJSON(targets)))
	d := w.copy(t, "many", "",
		`"ecr_targets"`, `"many_targets"`, `CONNECTION_IDS = "docker_many"`, `CONNECTION_IDS = ""`)
	r := d.run(t)
	r.wantGreen(t)
	for task, ti := range r.tasks(t) {
		t.Logf("%s took %s", task, ti.End.Sub(ti.Start).Round(10*time.Millisecond))
	}
	tokens := r.document(t, extract)["tokens"].([]any)
	tested := r.document(t, test)["connections"].([]any)
	if len(tokens) != manyRegions || len(tested) != manyConnections {
		t.Errorf("%d tokens and %d tested connections, want %d and %d", len(tokens), len(tested), manyRegions,
			manyConnections)
	}
	w.wantMany(t, tokens, r)
}

// setMany makes the connections, with an old password (one for all: see oldPasswords), and returns the
// targets list.
func (w *world) setMany(t *testing.T) (targets []map[string]string) {
	t.Helper()
	var all []peers.Connection
	old := "old-password-" + rand.Text()
	for i := range manyConnections {
		id := fmt.Sprintf("docker_many_%04d", i)
		host := fmt.Sprintf("%s.dkr.ecr.eu-test-%d.amazonaws.com", peers.SandboxAccount, 1+i%manyRegions)
		all = append(all, peers.Connection{ID: id, Type: "docker", Host: &host, Login: new("AWS"), Password: &old})
		targets = append(targets, map[string]string{"connection_id": id, "registry": host})
	}
	for some := range slices.Chunk(all, 100) {
		must(t, w.Airflow.SetConnections(t.Context(), some))
	}
	return targets
}

// wantMany fails unless each connection's stored password is the token of its region, and Airflow shows no piece of
// any.
func (w *world) wantMany(t *testing.T, tokens []any, r run) {
	t.Helper()
	want := map[string]string{}
	for _, entry := range tokens {
		shown := entry.(map[string]any)
		for _, id := range shown["connections"].([]any) {
			want[id.(string)] = shown["fingerprint"].(string)
		}
	}
	stored, err := w.Airflow.StoredPasswords(t.Context(), "^docker_many_")
	must(t, err)
	distinct := map[string]bool{}
	for id, password := range stored {
		w.secrets.add(password)
		distinct[password] = true
		if suite.Fingerprint(password) != want[id] {
			t.Errorf("%s does not hold the token of its region", id)
		}
	}
	if len(stored) != manyConnections || len(distinct) != manyRegions {
		t.Errorf("%d connections hold %d tokens", len(stored), len(distinct))
	}
	var all []string
	for password := range distinct {
		all = append(all, password)
	}
	r.wantNoPiece(t, all...)
}
