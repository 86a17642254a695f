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

// variable is one of Airflow's that a run reads. A list of targets stands in for account and region.
type variable struct {
	key, example string
	check        func(string) error // nil: checkKeyPair does, or nobody
}

func variables() []variable {
	list := func(text string) error { _, err := target.Parse(text); return err }
	return []variable{
		{names.TargetsVariable, `'[{"connection_id": "docker_default", "registry": "HOST"}]'`, list},
		{names.AccountVariable, "123456789012", ecr.CheckAccount},
		{names.RegionVariable, "us-east-1", ecr.CheckRegion},
		{names.RecipientVariable, "", nil}, {names.PrivateKeyVariable, "", nil}, {names.TokenVariable, "", nil},
	}
}

// checkVariables reads the Variables as far as Airflow's database has them.
func (d *Doctor) checkVariables(ctx context.Context, f *Findings) {
	if d.Reader == nil {
		return
	}
	stored := map[string]string{}
	for _, v := range variables() {
		value, err := d.Reader.Variable(ctx, v.key)
		if err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
			f.object("Variables", err, "")
			return
		}
		stored[v.key] = strings.TrimSpace(value.Reveal())
		if env := input.VariableOverride(v.key, stored[v.key]); env != "" {
			f.add(warn, "Variable "+v.key, "set the Variable in Airflow alone, unless this shell alone has "+env,
				"%s is set here, and not to what Airflow stores: tasks read it first on workers that have it", env)
		}
		if v.check != nil && (v.key == names.TargetsVariable || stored[names.TargetsVariable] == "") {
			d.checkForm(f, v, stored)
		}
	}
	d.variables = stored
	d.checkKeyPair(f, stored[names.RecipientVariable], stored[names.PrivateKeyVariable])
}

// checkForm drops from the stored ones what a run would reject.
func (d *Doctor) checkForm(f *Findings, v variable, stored map[string]string) {
	name, value, given := "Variable "+v.key, stored[v.key], d.Flags[v.key]
	err := v.check(value)
	switch {
	case value == "" && given != "": // the connection's host may say it
		f.add(warn, name, "airflow variables set "+v.key+" "+given, "a run does not see what this command line has")
	case value == "":
	case err != nil:
		f.add(fail, name, "correct it: airflow variables set "+v.key+" "+v.example, "%s", err)
		delete(stored, v.key)
	case given != "" && given != value:
		f.add(fail, name, "airflow variables set "+v.key+" "+given,
			"it is %q in Airflow, which a run reads, and %q on this command line", value, given)
	default:
		f.add(ok, name, "", "%.60s", value)
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
