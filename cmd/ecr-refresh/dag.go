package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/dags"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

func (p *program) dag() *cli.Command {
	command := p.local(cli.Command{
		Name:  "dag",
		Usage: "print the DAG that runs the steps",
		Flags: dagFlags(),
		Description: `The DAG is part of this program, so that both have one version. "dag
install" writes it into Airflow's DAG folder.

Examples:
  ecr-refresh dag --operator docker --image registry.example.com/ecr-refresh:1.0 >dags/refresh_docker_token_docker.py
  ecr-refresh dag install --dags-folder /opt/airflow/dags` + exits("", wrong),
	}, nil, func(c *call) work {
		_, _, text := c.rendered()
		return func(context.Context) ([]byte, error) { return []byte(dags.Sign(text, version())), nil }
	})
	command.Subcommands = []*cli.Command{p.dagInstall()}
	return command
}

func (p *program) dagInstall() *cli.Command {
	return p.local(cli.Command{
		Name:  "install",
		Usage: "write the DAG into Airflow's DAG folder",
		Flags: append(dagFlags(),
			&cli.StringFlag{Name: "dags-folder", Usage: "`FOLDER` of Airflow's DAGs (required)", TakesFile: true},
			input.Switch("force", "also replace a file that was edited, or was not written by ecr-refresh")),
		Description: `Writes the file whole or not at all. A file that "dag install" wrote and
nobody edited is replaced, and keeps what flags set in it; one that is up to date is left as it is, so that
Airflow does not parse it again.

Example:
  ecr-refresh dag install --dags-folder /opt/airflow/dags --schedule '0 */6 * * *'` + exits("", wrong),
	}, nil, func(c *call) work {
		options, name, text := c.rendered()
		// The library would leave what stands before the subcommand's name unused.
		if given := c.Lineage()[1].LocalFlagNames(); len(given) > 0 {
			err := failure.Permanent(console.Usage, "read command line: --%s stands before install", given[0])
			c.Fault(err.Want("did you mean ecr-refresh dag install --" + given[0] + " …?"))
		}
		folder := c.String("dags-folder")
		if folder == "" {
			c.Missing("DAG folder", "--dags-folder")
		}
		return func(context.Context) ([]byte, error) {
			return nil, c.install(filepath.Join(folder, name), text, options)
		}
	})
}

// install writes text, which is what options render to, to path. It replaces a file that is as an earlier install left
// it, and keeps its settings; with --force any other, too.
func (c *call) install(path, text string, options dags.Options) error {
	there, err := os.ReadFile(path)
	installed, unedited := dags.Signed(string(there))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return failure.Permanent("", "read %q: %w", path, errors.Unwrap(err))
	case c.Bool("force"):
	case !unedited:
		err := failure.Permanent(console.Usage, "install DAG: %q was edited, or was not written by ecr-refresh", path)
		return err.Want("move it away, or give --force to lose what is in it")
	default:
		for _, kept := range options.Keep(installed, text) {
			c.Log.Info("kept " + kept + ", as the file had it")
		}
		if _, text, err = dags.Render(options); err != nil {
			err := failure.Permanent(console.Usage, "render DAG as %q has it: %w", path, err)
			return err.Want("give it anew, or --force")
		}
	}
	if unedited && installed == text {
		c.Log.Info(path + " is up to date")
		return nil
	}
	if err := privatefile.WritePublic(path, []byte(dags.Sign(text, version()))); err != nil {
		return err
	}
	c.Log.Info(fmt.Sprintf("wrote %s: Airflow finds it within some minutes ([dag_processor] refresh_interval)", path))
	return nil
}

func dagFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "operator", Usage: "`OPERATOR` that runs each step: bash or docker", Value: dags.Bash},
		&cli.StringFlag{Name: "schedule", Usage: "cron `EXPRESSION`, preset such as @daily, or None"},
		&cli.StringFlag{Name: "connection-id", Usage: "`IDS` to refresh unless a run names others, joined by commas"},
		&cli.StringFlag{Name: "image", Usage: "`IMAGE` of the containers, with --operator docker"},
	}
}

// rendered returns the DAG with the settings of the flags, and the name of its file.
func (c *call) rendered() (o dags.Options, name, text string) {
	o = dags.Options{
		Operator: c.String("operator"), Schedule: c.String("schedule"), ConnectionIDs: c.String("connection-id"),
		Image: c.String("image"),
	}
	name, text, err := dags.Render(o)
	if err != nil {
		c.Fault(failure.Permanent(console.Usage, "render DAG: %w", err).Want("see ecr-refresh dag --help"))
	}
	return o, name, text
}
