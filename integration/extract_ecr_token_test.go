package integration

import (
	"testing"

	"ecr-refresh/integration/peers"
)

// tokenRefused: the registry knows another password than the one AWS issues.
func (w *world) tokenRefused(t *testing.T) {
	d := w.copy(t, "refused", w.Refusing.Host, append(withEnv(w.Moto.Environ()),
		`"ecr_aws_account"`, `"moto_account"`,
		`"ecr_aws_region_name"`, `"refused_region"`)...)
	d.run(t).wantRed(t, extract, "1", w.Refusing.Host, "401")
	d.wantOld(t)
}

// variablesMissing: both are named at once.
func (w *world) variablesMissing(t *testing.T) {
	d := w.copy(t, "no_variables", peers.SandboxHost,
		`"ecr_aws_account"`, `"no_such_variable"`,
		`"ecr_aws_region_name"`, `"nor_this_one"`)
	d.run(t).wantRed(t, extract, "2", "AIRFLOW_VAR_ECR_AWS_ACCOUNT", "AIRFLOW_VAR_ECR_AWS_REGION_NAME")
	d.wantOld(t)
}
