package real

import (
	"crypto/rand"
	"fmt"
	"maps"
	"reflect"
	"slices"
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
