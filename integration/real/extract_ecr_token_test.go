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
	missing := []string{`Variable "ecr_aws_account" is missing`, `Variable "ecr_aws_region_name" is missing`}
	d.run(t).wantRed(t, extract, "2", append(missing, "example.com", "is not an ECR registry")...)
	d.wantOld(t)
	d = w.copy(t, "nothing", "", without...)
	d.run(t).wantRed(t, extract, "2", append(missing, "hint: airflow variables set ecr_aws_region_name")...)
}
