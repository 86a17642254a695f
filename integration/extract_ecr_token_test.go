package integration

import (
	"testing"

	"ecr-refresh/integration/peers"
)

// tokenRefused: the registry knows another password than the one AWS issues.
func (w *world) tokenRefused(t *testing.T) {
	d := w.copy(t, "refused", w.Refusing.Host, append(withEnv(w.Moto.Environ()),
		`variable("ecr_aws_account")`, `variable("moto_account")`,
		`variable("ecr_aws_region_name")`, `variable("refused_region")`)...)
	d.run(t).wantRed(t, extract, "1", w.Refusing.Host, "401")
	d.wantOld(t)
}

// variablesMissing: both are named at once.
func (w *world) variablesMissing(t *testing.T) {
	d := w.copy(t, "no_variables", peers.SandboxHost,
		`variable("ecr_aws_account")`, `variable("no_such_variable")`,
		`variable("ecr_aws_region_name")`, `variable("nor_this_one")`)
	d.run(t).wantRed(t, extract, "2", "AIRFLOW_VAR_ECR_AWS_ACCOUNT", "AIRFLOW_VAR_ECR_AWS_REGION_NAME")
	d.wantOld(t)
}
