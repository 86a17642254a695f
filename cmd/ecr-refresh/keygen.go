package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

func (p *program) keygen() *cli.Command {
	return &cli.Command{
		Name:  "keygen",
		Usage: "make the sealing identity that several workers share",
		Description: `Prints an age identity as the two Airflow Variables that the DAG reads. Needed where steps 1 and 2 may run
on different hosts or users (Celery, Kubernetes, DockerOperator). Airflow masks a Variable whose name
holds "private_key" in logs and in its UI. The commands leave the key in the shell's history; --json and
"airflow variables import" do not.

Example:
  ecr-refresh keygen
  (umask 077; ecr-refresh keygen --json >keys.json); airflow variables import keys.json; rm keys.json

Exit codes:
  0    done
  2    usage`,
		Flags:           []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print a file for: airflow variables import FILE", DisableDefaultText: true}},
		OnUsageError:    usageError,
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return failure.Permanent("see ecr-refresh keygen --help", "read command line: unexpected argument %q", c.Args().First())
			}
			return p.printIdentity(c.Bool("json"))
		},
	}
}

func (p *program) printIdentity(asJSON bool) error {
	id, err := secret.NewIdentity()
	if err != nil {
		return err
	}
	recipient, key := id.Recipient(), id.PrivateKey().Reveal()
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(map[string]string{"ecr_refresh_recipient": recipient, "ecr_refresh_private_key": key})
	}
	_, err = fmt.Fprintf(p.stdout, "airflow variables set ecr_refresh_recipient %s\nairflow variables set ecr_refresh_private_key %s\n", recipient, key)
	return err
}
