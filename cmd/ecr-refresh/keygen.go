package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/secret"
)

func (p *program) keygen() *cli.Command {
	return &cli.Command{
		Name:  "keygen",
		Usage: "make the encryption key pair that several workers share",
		Description: `Prints an age key pair as the two Airflow Variables that the DAG reads. Needed where steps
1 and 2 may run on different hosts or users (Celery, Kubernetes, DockerOperator). Airflow masks a Variable whose
name has "private_key" in logs and in its UI. The commands leave the key in the shell's history; --json and
"airflow variables import" do not.

Example:
  ecr-refresh keygen
  (umask 077; ecr-refresh keygen --json >keys.json); airflow variables import keys.json; rm keys.json

Exit codes:
  0    done
  2    usage`,
		Flags: []cli.Flag{
			input.Switch("json", "print a file for: airflow variables import FILE"),
		},
		OnUsageError:    command.UsageError,
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			if err := command.NoArguments(c); err != nil {
				return err
			}
			return p.printKeys(c.Bool("json"))
		},
	}
}

func (p *program) printKeys(asJSON bool) error {
	id, err := secret.NewIdentity()
	if err != nil {
		return err
	}
	recipient, key := id.Recipient(), id.PrivateKey().Reveal()
	if asJSON {
		pair := map[string]string{names.RecipientVariable: recipient, names.PrivateKeyVariable: key}
		return json.NewEncoder(p.Stdout).Encode(pair)
	}
	_, err = fmt.Fprintf(p.Stdout, "airflow variables set %s %s\nairflow variables set %s %s\n",
		names.RecipientVariable, recipient, names.PrivateKeyVariable, key)
	return err
}
