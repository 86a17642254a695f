package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
)

// onAirflow is what was measured on real Airflow.
type onAirflow struct {
	release           string
	parsed            parses
	floor, run, pyRun []float64 // seconds from a run's start to its end
	n                 []int     // connections
	oursUpdate        []usage   // of step 2, for each n
	oneByOne          []float64 // seconds, for each n
	calls, mostUpdate float64   // seconds over the most connections, fastest runs: the calls alone, and step 2
}

// parses are the seconds that a parse takes: of our DAG, and of the baseline's.
type parses struct{ Processor, Task [2][]float64 }

// The runs of each DAG on real Airflow, and the most connections.
const (
	airflowRuns     = 9
	mostConnections = 1_000
)

func sizes() []int { return []int{1, 10, 100, mostConnections} }

// measureAirflow starts a real Airflow and measures on it.
func (b bench) measureAirflow(ctx context.Context, venv string) (m onAirflow, err error) {
	dir, err := os.MkdirTemp("", "ecr-refresh-bench-airflow-")
	if err != nil {
		return m, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if m.parsed, err = b.parseTimes(venv, dir); err != nil {
		return m, err
	}
	p, err := peers.Start(ctx, peers.Options{Dir: dir, Binary: b.refresh, Env: []string{
		"BENCH_FOLDER=" + b.here, "AIRFLOW_VAR_ECR_AWS_ACCOUNT=" + peers.SandboxAccount,
		"AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.Region,
		"AWS_CA_BUNDLE=" + filepath.Join(dir, "ca.pem"), "REQUESTS_CA_BUNDLE=" + filepath.Join(dir, "ca.pem"),
	}})
	if err != nil {
		return m, err
	}
	defer func() { _ = p.Close() }()
	m.release = "3.3.2"
	if err := setUp(ctx, p); err != nil {
		return m, err
	}
	if err := b.timeRuns(ctx, p, &m); err != nil {
		return m, err
	}
	return m, b.timeUpdates(ctx, p, venv, &m)
}

// parseTimes parses our DAG and the baseline's in turn.
func (b bench) parseTimes(venv, dir string) (times parses, err error) {
	stub := filepath.Join(dir, dags.RefreshDockerTokenFile)
	if err := os.WriteFile(stub, []byte(dags.RefreshDockerToken), 0o600); err != nil {
		return times, err
	}
	parse := exec.Command(filepath.Join(venv, "bin", "python"), filepath.Join(b.here, "parse.py"),
		strconv.Itoa(b.pairs), stub, filepath.Join(b.here, "baseline_dag.py"))
	parse.Env = append(os.Environ(), "AIRFLOW_HOME="+filepath.Join(dir, "parse"), "BENCH_FOLDER="+b.here)
	parse.Stderr = os.Stderr
	text, err := parse.Output()
	if err != nil {
		return times, fmt.Errorf("parse DAGs: %w", err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &times); err != nil {
		return times, fmt.Errorf("parse DAGs: %w: %q", err, text)
	}
	return times, nil
}

func setUp(ctx context.Context, p *peers.Peers) error {
	if err := p.Airflow.SetPool(ctx, "systemqueue", 5); err != nil {
		return err
	}
	op := p.Airflow.Users["op"]
	for key, value := range map[string]string{
		"ecr_aws_account": peers.SandboxAccount, "ecr_aws_region_name": peers.Region,
	} {
		if err := p.Airflow.SetVariable(ctx, key, value); err != nil {
			return err
		}
	}
	host := peers.SandboxHost
	all := []peers.Connection{
		{ID: "airflow-api", Type: "http", Schema: new("http"), Host: new("127.0.0.1"), Port: &p.Airflow.Port,
			Login: &op.User, Password: &op.Password},
		{ID: "docker_default", Type: "docker", Host: &host, Login: new("AWS"), Password: new("old")},
	}
	for i := range mostConnections {
		all = append(all, peers.Connection{ID: fmt.Sprintf("bench_%04d", i), Type: "docker", Host: &host,
			Login: new("AWS"), Password: new("old")})
	}
	return p.Airflow.SetConnections(ctx, all)
}

// timeRuns runs the three DAGs in turn, after one run of each that is not counted.
func (b bench) timeRuns(ctx context.Context, p *peers.Peers, m *onAirflow) error {
	unscheduled := strings.Replace(dags.RefreshDockerToken, "schedule=SCHEDULE", "schedule=None", 1)
	for name, text := range map[string]func() (string, error){
		"ours.py":         func() (string, error) { return unscheduled, nil },
		"floor_dag.py":    func() (string, error) { return b.file("floor_dag.py") },
		"baseline_dag.py": func() (string, error) { return b.file("baseline_dag.py") },
	} {
		code, err := text()
		if err == nil {
			err = p.Airflow.Deploy(name, strings.Replace(code, `schedule="55 5,17 * * *"`, "schedule=None", 1))
		}
		if err != nil {
			return err
		}
	}
	for i := range airflowRuns + 1 {
		for id, times := range map[string]*[]float64{
			"bench_floor": &m.floor, "refresh_docker_token_v4": &m.run, "bench_python": &m.pyRun,
		} {
			took, err := runOnce(ctx, p, id)
			if err != nil {
				return err
			}
			if i > 0 {
				*times = append(*times, took.Seconds())
			}
		}
	}
	return nil
}

func (b bench) file(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(b.here, name))
	return string(text), err
}

// runOnce returns how long a run took, from the start of its first task to the end of its last.
func runOnce(ctx context.Context, p *peers.Peers, id string) (time.Duration, error) {
	run, err := p.Airflow.Trigger(ctx, id)
	if err != nil {
		return 0, err
	}
	state, err := p.Airflow.WaitRun(ctx, id, run, 3*time.Minute)
	if err != nil || state != "success" {
		return 0, fmt.Errorf("run of %s is %s: %v", id, state, err)
	}
	return p.Airflow.Took(ctx, id, run)
}
