package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

func (p *program) keygen() *cli.Command {
	return p.local(cli.Command{
		Name:  "keygen",
		Usage: "make the encryption key pair that several workers share",
		Flags: []cli.Flag{input.Switch("json", "print a file for: airflow variables import FILE")},
		Description: `Prints an age key pair as the two Airflow Variables that the DAG reads. Needed
where steps 1 and 2 may run on different hosts or users (Celery, Kubernetes, DockerOperator). --json keeps the key
out of the shell's history.

Example:
  ecr-refresh keygen
  (umask 077; ecr-refresh keygen --json >keys.json); airflow variables import keys.json; rm keys.json` +
			exits("", wrong),
	}, nil, func(c *call) work {
		return func(context.Context) ([]byte, error) {
			id := secret.NewIdentity()
			recipient, key := id.Recipient(), id.PrivateKey().Reveal()
			if c.Bool("json") {
				return xcom.Print(map[string]string{names.RecipientVariable: recipient, names.PrivateKeyVariable: key})
			}
			return fmt.Appendf(nil, "airflow variables set %s %s\nairflow variables set %s %s\n",
				names.RecipientVariable, recipient, names.PrivateKeyVariable, key), nil
		}
	})
}
