package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
)

const dagID = "refresh_docker_token_v4"

// supervise runs the peers until SIGTERM or SIGINT.
func (l lab) supervise(ctx context.Context) error {
	p, err := peers.Start(ctx, peers.Options{
		Dir: l.dir, Airflow: l.airflow, Binary: l.bin, Progress: func(peer string) { fmt.Println("started:", peer) },
	})
	if err != nil {
		return err
	}
	err = l.serve(ctx, p)
	return errors.Join(err, p.Close())
}

func (l lab) serve(ctx context.Context, p *peers.Peers) error {
	if err := p.Airflow.Deploy(dags.RefreshDockerTokenFile, dags.RefreshDockerToken); err != nil {
		return err
	}
	for _, args := range setup(p.Airflow) {
		if _, err := p.Airflow.CLI(ctx, args...); err != nil {
			return err
		}
		fmt.Println("made:", args[0], args[2])
	}
	if err := os.WriteFile(l.path("env"), []byte(environ(p.Airflow)), 0o600); err != nil {
		return err
	}
	text := l.report(p)
	if l.trigger {
		fmt.Println("running the DAG")
		state, err := runOnce(ctx, p.Airflow)
		if err != nil {
			return err
		}
		text += "First run       " + state + "\n"
	}
	if err := l.announce(text); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// announce writes the file that up waits for, whole.
func (l lab) announce(text string) error {
	if err := os.WriteFile(l.path("ready.new"), []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(l.path("ready.new"), l.path("ready"))
}

// setup is the README's setup list, as arguments of airflow.
func setup(a *peers.Airflow) [][]string {
	user := a.Users["op"]
	return [][]string{
		{"variables", "set", "ecr_aws_account", peers.SandboxAccount},
		{"variables", "set", "ecr_aws_region_name", peers.Region},
		{"connections", "add", "airflow-api", "--conn-type", "http",
			"--conn-schema", "http", "--conn-host", "127.0.0.1", "--conn-port", fmt.Sprint(a.Port),
			"--conn-login", user.User, "--conn-password", user.Password},
		{"connections", "add", "docker_default", "--conn-type", "docker",
			"--conn-host", peers.SandboxHost, "--conn-login", "AWS"},
		{"pools", "set", "systemqueue", "5", "System maintenance tasks"},
	}
}

func runOnce(ctx context.Context, a *peers.Airflow) (string, error) {
	run, err := a.Trigger(ctx, dagID)
	if err != nil {
		return "", err
	}
	return a.WaitRun(ctx, dagID, run, 3*time.Minute)
}

func (l lab) report(p *peers.Peers) string {
	admin := p.Airflow.Users["admin"]
	return fmt.Sprintf(`Airflow         %s/dags/%s
Login           %s  %s
Docker Engine   %s
A step by hand  (. %s; bin/ecr-refresh extract-ecr-token)
Logs            %s/*.log
Stop it         make lab-down        (what it installed: make lab-purge)
`, p.Airflow.URL, dagID, admin.User, admin.Password, p.Docker.Host, l.path("env"), l.dir)
}

// environ is a worker's environment as a file for a shell, with what the DAG would hand to the steps beside it.
func environ(a *peers.Airflow) string {
	user := a.Users["op"]
	var text strings.Builder
	for _, entry := range append(a.Environ(),
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT="+peers.SandboxAccount,
		"AIRFLOW_VAR_ECR_AWS_REGION_NAME="+peers.Region,
		fmt.Sprintf("AIRFLOW_CONN_AIRFLOW_API=http://%s:%s@127.0.0.1:%d/http", user.User, user.Password, a.Port),
	) {
		name, value, _ := strings.Cut(entry, "=")
		fmt.Fprintf(&text, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return text.String()
}
