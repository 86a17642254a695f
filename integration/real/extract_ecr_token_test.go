package real

import "testing"

// tokenRefused: the registry accepts another password than the one AWS issues.
func (w *world) tokenRefused(docker bool) func(*testing.T) {
	return func(t *testing.T) {
		d := w.copy(t, "refused", variant{docker: docker, host: w.Refusing.Host, env: w.Moto.Environ(), edits: []string{
			`"ecr_aws_account"`, `"moto_account"`, `"ecr_aws_region_name"`, `"refused_region"`}})
		d.run(t).wantRed(t, extract, 1, w.Refusing.Host, "401")
	}
}

// variablesMissing: account and region come from the connection's host; where that says nothing, both are named. One
// that is malformed is quoted.
func (w *world) variablesMissing(t *testing.T) {
	v := variant{edits: []string{`"ecr_aws_account"`, `"no_such_variable"`, `"ecr_aws_region_name"`, `"nor_this_one"`}}
	w.copy(t, "no_variables", v).run(t).wantGreen(t)
	v.host = "example.com"
	w.copy(t, "no_host", v).run(t).wantRed(t, extract, 2,
		`AWS account is not set: Variable "ecr_aws_account" is missing`,
		`AWS region is not set: Variable "ecr_aws_region_name" is missing, and connection "docker_no_host" has host "`+
			`example.com", which is not an ECR registry`,
		"hint: airflow variables set ecr_aws_region_name us-east-1")
	must(t, w.Airflow.SetVariable(t.Context(), "malformed_region", "us-east1"))
	malformed := variant{edits: []string{`"ecr_aws_region_name"`, `"malformed_region"`}}
	w.copy(t, "malformed", malformed).run(t).wantRed(t, extract, 2,
		`Variable "ecr_aws_region_name" is "us-east1", not an AWS region (did you mean us-east-1?)`)
}
