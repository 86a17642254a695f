package doctor

import (
	"context"
	"errors"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

// checkVariables reads the Variables that a run reads, as far as Airflow's database has them, and checks their form.
func (d *Doctor) checkVariables(ctx context.Context, f *Findings) {
	if d.Reader == nil {
		return
	}
	stored := map[string]string{}
	for _, key := range []string{names.AccountVariable, names.RegionVariable, names.TargetsVariable,
		names.RecipientVariable, names.PrivateKeyVariable, names.TokenVariable} {
		value, err := d.Reader.Variable(ctx, key)
		if err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
			f.object("Variables", err, "")
			return
		}
		stored[key] = strings.TrimSpace(value.Reveal())
		if env := input.VariableOverride(key, stored[key]); env != "" {
			f.add(warn, "Variable "+key, "set the Variable in Airflow alone, unless this shell alone has "+env,
				"%s is set here, and not to what Airflow stores: tasks read it first on workers that have it", env)
		}
	}
	d.variables = stored
	d.checkForms(f)
	d.checkKeyPair(f, stored[names.RecipientVariable], stored[names.PrivateKeyVariable])
}

// checkForms drops from the variables those that a run would reject.
func (d *Doctor) checkForms(f *Findings) {
	read := []string{names.AccountVariable, names.RegionVariable}
	if d.variables[names.TargetsVariable] != "" { // account and region do not count then
		read = []string{names.TargetsVariable}
	}
	checks := map[string]func(string) error{
		names.AccountVariable: ecr.CheckAccount, names.RegionVariable: ecr.CheckRegion,
		names.TargetsVariable: func(list string) error { _, err := target.Parse(list); return err },
	}
	examples := map[string]string{names.AccountVariable: "123456789012", names.RegionVariable: "us-east-1",
		names.TargetsVariable: `'[{"connection_id": "docker_default", "registry": "HOST"}]'`}
	for _, key := range read {
		name, value, given := "Variable "+key, d.variables[key], d.Flags[key]
		hint := "correct it: airflow variables set " + key + " " + examples[key]
		if err := checks[key](value); value != "" && err != nil {
			f.add(fail, name, hint, "%s", err)
			delete(d.variables, key)
		} else if given != "" && given != value {
			state := map[bool]string{true: warn, false: fail}[value == ""] // the connection's host may say it
			f.add(state, name, "airflow variables set "+key+" "+given,
				"it is %q in Airflow, which a run reads, and %q on this command line", value, given)
		} else if value != "" {
			f.add(ok, name, "", "%.60s", value)
		}
	}
}

// masked is what Airflow shows of the private key, for the Variable's name.
const masked = "***"

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
	case private == "" && !d.KeyFile:
		f.add(fail, name, hint, alone, names.PrivateKeyVariable, names.RecipientVariable)
	case private == "" || private == masked:
		f.add(ok, name, "", "there are both; whether they belong together is not known, since Airflow does not show "+
			"the private key: doctor --run tests it")
	case unread != nil:
		f.add(fail, name, hint, "Variable %s: %s", names.PrivateKeyVariable, unread)
	case id.Recipient() != public:
		f.add(fail, name, hint, "the two Variables are not of one pair")
	default:
		f.add(ok, name, "", "both Variables are set, and belong together")
	}
}
