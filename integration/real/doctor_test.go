package real

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
)

// doctor finds all well on the real peers, and what is not: a missing pool, a paused DAG, an Engine that is not there.
func (w *world) doctor(t *testing.T) {
	op, viewer := w.Airflow.Users["op"], w.Airflow.Users["viewer"]
	env := append(w.Airflow.Environ(), w.admin("viewer")...)
	env = append(env,
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT="+peers.SandboxAccount, "AIRFLOW_VAR_ECR_AWS_REGION_NAME="+peers.Region,
		"ECR_REFRESH_AIRFLOW_SCHEMA=http", "ECR_REFRESH_AIRFLOW_HOST=127.0.0.1",
		fmt.Sprintf("ECR_REFRESH_AIRFLOW_PORT=%d", w.Airflow.Port),
		"ECR_REFRESH_AIRFLOW_LOGIN="+op.User, "ECR_REFRESH_AIRFLOW_PASSWORD="+op.Password)
	doctor := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), w.bin, append([]string{"doctor"}, args...)...)
		cmd.Env = env
		text, _ := cmd.CombinedOutput()
		wantNoPiece(t, "doctor", string(text), op.Password, viewer.Password, w.newestToken(t))
		return string(text)
	}
	for _, line := range strings.Split(strings.TrimSpace(doctor()), "\n") {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("not well: %s", line)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--pool", "no_such_pool"}, "fail  pool no_such_pool"},
		{[]string{"--dag-id", "no_such_dag"}, "fail  DAG no_such_dag"},
		{[]string{"--engine", "unix:///nowhere/docker.sock"}, "fail  docker engine"},
		{[]string{"--connection-ids", "no_such_connection"}, "fail  connection no_such_connection"},
	} {
		got := doctor(c.args...)
		if !strings.Contains(got, "\n"+c.want) || !strings.Contains(got, "ecr-refresh: error: ") {
			t.Errorf("%v: want %q:\n%s", c.args, c.want, got)
		}
	}
}
