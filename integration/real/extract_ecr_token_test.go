package real

import (
	"testing"

	"ecr-refresh/integration/real/peers"
)

// tokenRefused: the registry accepts another password than the one AWS issues.
func (w *world) tokenRefused(t *testing.T) {
	d := w.copy(t, "refused", w.Refusing.Host, append(withEnv(w.Moto.Environ()),
		`"ecr_aws_account"`, `"moto_account"`,
		`"ecr_aws_region_name"`, `"refused_region"`)...)
	d.run(t).wantRed(t, extract, "1", w.Refusing.Host, "401")
	d.wantOld(t)
}

// variablesMissing: account and region come from the connection's host; where that says nothing, both are named.
func (w *world) variablesMissing(t *testing.T) {
	without := []string{`"ecr_aws_account"`, `"no_such_variable"`, `"ecr_aws_region_name"`, `"nor_this_one"`}
	d := w.copy(t, "no_variables", peers.SandboxHost, without...)
	d.run(t).wantGreen(t)
	d = w.copy(t, "no_host", "example.com", without...)
	d.run(t).wantRed(t, extract, "2", "registry is missing", "example.com", "is not a private registry of ECR")
	d.wantOld(t)
	d = w.copy(t, "nothing", "", without...)
	d.run(t).wantRed(t, extract, "2", "AIRFLOW_VAR_ECR_AWS_ACCOUNT", "AIRFLOW_VAR_ECR_AWS_REGION_NAME")
}
