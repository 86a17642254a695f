package doctor

import (
	"context"
	"errors"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

// checkVariables reads the Variables of a run as far as Airflow's database has them.
func (d *Doctor) checkVariables(ctx context.Context, f *Findings) {
	stored := map[string]string{}
	for _, key := range []string{names.TargetsVariable, names.AccountVariable, names.RegionVariable,
		names.RecipientVariable, names.PrivateKeyVariable, names.TokenVariable} {
		value, err := d.Reader.Variable(ctx, key)
		if err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
			f.result("Variables", err, "")
			return
		}
		stored[key] = strings.TrimSpace(value)
		f.override("Variable "+key, "AIRFLOW_VAR_"+key, stored[key])
	}
	d.Inputs.Variables = stored
	list := func(text string) error { _, err := target.Parse(text); return err }
	d.checkForm(f, names.TargetsVariable, "", `'[{"connection_id": "docker_default", "registry": "HOST"}]'`, list)
	if stored[names.TargetsVariable] == "" { // which stands in for both
		d.checkForm(f, names.AccountVariable, d.Inputs.String("account"), "123456789012", ecr.CheckAccount)
		d.checkForm(f, names.RegionVariable, d.Inputs.String("region"), "us-east-1", ecr.CheckRegion)
	}
	d.checkKeyPair(f, stored[names.RecipientVariable], stored[names.PrivateKeyVariable])
}

// checkForm checks a Variable, for which another value may be given here. It drops what a run would reject.
func (d *Doctor) checkForm(f *Findings, key, given, example string, check func(string) error) {
	name, set, value := "Variable "+key, "airflow variables set "+key+" ", d.Inputs.Variables[key]
	err := check(value)
	switch {
	case value == "" && given != "": // the connection's host may have it
		f.add(warn, name, set+given, "a run does not see what this command line has")
	case value == "":
	case err != nil:
		f.add(fail, name, "correct it: "+set+failure.WantOf(err, example), "%s", err)
		delete(d.Inputs.Variables, key)
	case given != "" && given != value:
		f.add(fail, name, set+given,
			"it is %q in Airflow, which a run reads, and %q on this command line", value, given)
	default:
		f.add(ok, name, "", "%.60s", value)
	}
}

// checkKeyPair checks the Variables of the encryption key pair. Without it, each worker has a pair of its own.
func (d *Doctor) checkKeyPair(f *Findings, public, private string) {
	const (
		name  = "encryption key pair"
		hint  = "run 'ecr-refresh keygen', and set both Variables as it prints"
		alone = "Variable %s is missing, and %s is set"
	)
	id, unread := secret.ParseIdentity(secret.New(private))
	wrong := secret.CheckRecipient(public)
	switch {
	case public+private == "":
		f.add(ok, name, "", "no Variables: steps 1 and 2 have to run on one worker, as one user")
	case public == "":
		f.add(fail, name, hint, alone, names.RecipientVariable, names.PrivateKeyVariable)
	case wrong != nil:
		f.add(fail, name, hint, "Variable %s: %s", names.RecipientVariable, wrong)
	case private == "" && d.Inputs.Optional(d.Inputs.IdentityFile) == "":
		f.add(fail, name, hint, alone, names.PrivateKeyVariable, names.RecipientVariable)
	case private == "" || private == "***": // Airflow masks it, for its name
		f.add(ok, name, "", "there are both; whether they belong together is not known, since Airflow does not show "+
			"the private key: doctor --run tests it")
	case unread != nil || id.Recipient() != public:
		f.add(fail, name, hint, "Variable %s is not the private key of the other", names.PrivateKeyVariable)
	default:
		f.add(ok, name, "", "both Variables are set, and belong together")
	}
}
