package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ecr-refresh/integration/real/peers"
)

// updateRuns is how often step 2 runs for each number of connections.
const updateRuns = 6

// timeUpdates times step 2 over fewer and fewer connections, and the same one by one. The most come first: Airflow's
// masker keeps each password that it has seen, and every new one takes it longer.
func (b bench) timeUpdates(ctx context.Context, p *peers.Peers, venv string, m *onAirflow) error {
	for _, n := range slices.Backward(sizes()) {
		if err := b.timeUpdate(ctx, p, venv, n, m); err != nil {
			return err
		}
	}
	slices.Reverse(m.n)
	slices.Reverse(m.oursUpdate)
	slices.Reverse(m.oneByOne)
	return nil
}

// timeUpdate adds the figures of n connections; the most are updated once one by one.
func (b bench) timeUpdate(ctx context.Context, p *peers.Peers, venv string, n int, m *onAirflow) error {
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("bench_%04d", i))
	}
	var ours []usage
	var theirs, calls []float64
	one := func() error {
		seconds, err := oneByOne(ctx, venv, filepath.Join(b.here, "one_by_one.py"), p, n)
		theirs = append(theirs, seconds)
		return err
	}
	all := func() error {
		u, err := b.update(p.Airflow, ids)
		ours = append(ours, u)
		return err
	}
	alone := func() error {
		took, err := callsAlone(ctx, p.Airflow, ids)
		calls = append(calls, took.Seconds())
		return err
	}
	for i := range updateRuns {
		turns := []func() error{all, one}
		if n == mostConnections && i > 0 {
			turns[1] = alone
		}
		if i%2 == 1 { // the first one is slowed by a new password that the other has set
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return err
			}
		}
	}
	m.n = append(m.n, n)
	m.oursUpdate, m.oneByOne = append(m.oursUpdate, middle(ours)), append(m.oneByOne, median(theirs))
	if len(calls) > 0 {
		m.calls, m.mostUpdate = slices.Min(calls), fastest(ours).Seconds()
	}
	return nil
}

// update measures step 2, with a new token of step 1.
func (b bench) update(airflow *peers.Airflow, ids []string) (u usage, err error) {
	op := airflow.Users["op"]
	env := append(airflow.Environ(), "ECR_REFRESH_AIRFLOW_HOST=127.0.0.1", "ECR_REFRESH_AIRFLOW_SCHEMA=http",
		"ECR_REFRESH_AIRFLOW_PORT="+strconv.Itoa(airflow.Port),
		"ECR_REFRESH_AIRFLOW_LOGIN="+op.User, "ECR_REFRESH_AIRFLOW_PASSWORD="+op.Password, "XDG_STATE_HOME="+b.dir)
	result := filepath.Join(b.dir, "many.json")
	if _, err := b.measure(env, b.refresh, "extract-ecr-token", "--connection-ids", strings.Join(ids, ","), "--out",
		result); err != nil {
		return u, err
	}
	return b.measure(env, b.refresh, "update-docker-connection", "--in", result)
}

func oneByOne(ctx context.Context, venv, script string, p *peers.Peers, n int) (float64, error) {
	op := p.Airflow.Users["op"]
	cmd := exec.CommandContext(ctx, filepath.Join(venv, "bin", "python"), script, p.Airflow.URL, op.User, "bench_",
		strconv.Itoa(n))
	cmd.Stdin, cmd.Stderr = strings.NewReader(op.Password+"\n"+strings.Repeat(rand.Text(), 92)), os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("update one by one: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
}

// What step 2 has under way at once, and how many connections a page or an update holds (airflowclient).
const readsAtOnce, updatesAtOnce, perCall = 4, 2, 100

// callsAlone makes the calls of an update and nothing else: login, all pages, bulk updates. What they take is
// Airflow's.
func callsAlone(ctx context.Context, airflow *peers.Airflow, ids []string) (time.Duration, error) {
	call, updates := airflow.As("op"), bulkUpdates(ids)
	begin := time.Now()
	pages, ctx1 := errgroup.WithContext(ctx)
	pages.SetLimit(readsAtOnce)
	for i := range updates {
		pages.Go(func() error {
			page := fmt.Sprintf("/api/v2/connections?limit=%d&offset=%d", perCall, i*perCall)
			return call(ctx1, http.MethodGet, page, nil, nil)
		})
	}
	if err := pages.Wait(); err != nil {
		return 0, err
	}
	all, ctx2 := errgroup.WithContext(ctx)
	all.SetLimit(updatesAtOnce)
	for _, body := range updates {
		all.Go(func() error { return call(ctx2, http.MethodPatch, "/api/v2/connections", body, nil) })
	}
	err := all.Wait()
	return time.Since(begin), err
}

func bulkUpdates(ids []string) (bodies []json.RawMessage) {
	password := strings.Repeat(rand.Text(), 92)
	for some := range slices.Chunk(ids, perCall) {
		var entities []map[string]string
		for _, id := range some {
			entities = append(entities, map[string]string{
				"connection_id": id, "conn_type": "docker", "password": password,
			})
		}
		body, _ := json.Marshal(map[string]any{"actions": []any{map[string]any{
			"action": "update", "entities": entities, "action_on_non_existence": "skip",
		}}})
		bodies = append(bodies, body)
	}
	return bodies
}
