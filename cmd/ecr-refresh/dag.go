package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"ecr-refresh/dags"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

func (p *program) dag() *cli.Command {
	command := p.step(cli.Command{
		Name:  "dag",
		Usage: "print the DAG that runs the steps",
		Flags: dagFlags(),
		Description: describe(`The DAG is part of this program, so that both are of one version. "dag install" writes it where Airflow looks.

Examples:
  ecr-refresh dag --operator docker --image registry.example.com/ecr-refresh:1.0 >dags/refresh_docker_token_docker.py
  ecr-refresh dag install --dags-folder /opt/airflow/dags`),
	}, nil, func(c *call) func(context.Context) ([]byte, error) {
		_, text := c.rendered(c.dagOptions())
		return func(context.Context) ([]byte, error) { return []byte(dags.Sign(text, version())), nil }
	})
	command.Subcommands = []*cli.Command{p.dagInstall()}
	return command
}

func (p *program) dagInstall() *cli.Command {
	return p.step(cli.Command{
		Name:  "install",
		Usage: "write the DAG into Airflow's DAG folder",
		Flags: append(dagFlags(),
			&cli.StringFlag{Name: "dags-folder", Usage: "`FOLDER` that Airflow reads DAGs from", TakesFile: true},
			&cli.BoolFlag{Name: "force", Usage: "also over a file that was edited, or written by somebody else; nothing in it stays", DisableDefaultText: true}),
		Description: describe(`Writes the file whole or not at all. A file that is there is replaced while it is as "dag install" left it, and what was
set by flags then stays set; one that is up to date is left alone, so that Airflow does not parse it anew.

Example:
  ecr-refresh dag install --dags-folder /opt/airflow/dags --schedule '0 */6 * * *'`),
	}, nil, func(c *call) func(context.Context) ([]byte, error) {
		options := c.dagOptions()
		name, text := c.rendered(options)
		// The library would leave what stands before the subcommand's name unused.
		if given := c.Lineage()[1].LocalFlagNames(); len(given) > 0 {
			c.fault(failure.Permanent(failure.Kind("write: ecr-refresh dag install --"+given[0]+" …"), "read command line: --%s stands before install", given[0]))
		}
		folder := c.String("dags-folder")
		if folder == "" {
			c.missing("DAG folder", "--dags-folder")
		}
		return func(context.Context) ([]byte, error) {
			return nil, c.installDAG(filepath.Join(folder, name), text, options)
		}
	})
}

func dagFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "operator", Usage: "`OPERATOR` that runs each step: bash or docker", Value: dags.Bash},
		&cli.StringFlag{Name: "schedule", Usage: "cron `EXPRESSION`, preset such as @daily, or None, in place of the DAG's own"},
		&cli.StringFlag{Name: "connection-id", Usage: "`IDS` to refresh unless a run names others, joined by commas"},
		&cli.StringFlag{Name: "image", Usage: "`IMAGE` of the containers, with --operator docker"},
	}
}

func (c *call) dagOptions() dags.Options {
	return dags.Options{Operator: c.String("operator"), Schedule: c.String("schedule"), ConnectionIDs: c.String("connection-id"), Image: c.String("image")}
}

func (c *call) rendered(o dags.Options) (name, text string) {
	name, text, err := dags.Render(o)
	if err != nil {
		c.fault(failure.Permanent("see ecr-refresh dag --help", "render DAG: %w", err))
	}
	return name, text
}

// installDAG writes text, which is what o renders to, with the settings of an earlier install.
func (c *call) installDAG(path, text string, o dags.Options) error {
	there, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c.writeDAG(path, text)
	}
	if err != nil {
		return failure.Permanent("look at the folder's permissions", "read %q: %w", path, cause(err))
	}
	installed, unedited := dags.Signed(string(there))
	switch {
	case c.Bool("force"):
	case !unedited:
		return failure.Permanent("move it away, or give --force to lose what is in it",
			"install DAG: %q was edited, or was not written by ecr-refresh", path)
	default:
		if text, err = c.keeping(installed, text, o); err != nil {
			return failure.Permanent("give it anew, or --force", "render DAG as %q has it: %w", path, err)
		}
	}
	if unedited && installed == text {
		c.log.Info(path + " is up to date")
		return nil
	}
	return c.writeDAG(path, text)
}

// keeping returns text with the settings of installed that o leaves empty.
func (c *call) keeping(installed, text string, o dags.Options) (string, error) {
	for _, kept := range o.Keep(installed, text) {
		c.log.Info("kept " + kept + ", as the file had it")
	}
	_, text, err := dags.Render(o)
	return text, err
}

func (c *call) writeDAG(path, text string) error {
	if err := privatefile.WritePublic(path, []byte(dags.Sign(text, version()))); err != nil {
		return err
	}
	c.log.Info(fmt.Sprintf("wrote %s: Airflow finds it within some minutes ([dag_processor] refresh_interval)", path))
	return nil
}
