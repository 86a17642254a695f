package real

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"ecr-refresh/integration/real/peers"
)

// doctor finds all well on the real peers, and what is not: a missing pool, DAG and connection, an Engine that is not
// there.
func (w *world) doctor(t *testing.T) {
	w.wantUnwell(t, nil)
	w.wantUnwell(t, map[string]string{
		"connection no_such_connection": "fail", "pool no_such_pool": "fail", "DAG no_such_dag": "fail",
		"docker engine": "fail",
	}, "--pool", "no_such_pool", "--dag-id", "no_such_dag", "--engine", "unix:///nowhere/docker.sock",
		"--connection-ids", "no_such_connection")
}

// wantUnwell compares the state of all checks that are not ok.
func (w *world) wantUnwell(t *testing.T, want map[string]string, options ...string) {
	t.Helper()
	env := slices.Concat(w.Airflow.Environ(), w.admin("viewer"), []string{"AWS_ENDPOINT_URL=",
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT=" + peers.SandboxAccount, "AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.Region})
	o := w.shell(t, "").Do(t, env, append([]string{"doctor", "--json"}, options...)...)
	var all struct {
		Checks []struct{ Name, State, Message string }
	}
	must(t, json.Unmarshal([]byte(o.Stdout), &all))
	got := map[string]string{}
	for _, check := range all.Checks {
		if check.State != "ok" {
			got[check.Name] = check.State
		}
	}
	if !maps.Equal(got, want) || len(all.Checks) == 0 {
		t.Errorf("not ok are %v, want %v:\n%+v", got, want, all)
	}
	wantNoPiece(t, "doctor", o.Stdout+o.Stderr, w.Airflow.Users["op"].Password, w.Airflow.Users["viewer"].Password,
		w.newestToken(t))
}
