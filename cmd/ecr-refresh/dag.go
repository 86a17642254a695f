package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/dags"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

// dagSettings are the flags of the DAG's settings, and the constants that they set.
func dagSettings() []struct{ flag, constant, usage string } {
	return []struct{ flag, constant, usage string }{
		{"operator", "OPERATOR", "`OPERATOR` that runs each step: bash or docker (default: bash)"},
		{"dag-id", "DAG_ID", "`ID` of the DAG"},
		{"schedule", "SCHEDULE", "cron `EXPRESSION`, preset such as @daily, or None"},
		{"connection-ids", "CONNECTION_IDS", "`IDS` to refresh unless a run names others, joined by commas"},
		{"airflow-connection", "AIRFLOW_API", "`ID` of the connection to Airflow's REST API"},
		{"queue", "QUEUE", "`QUEUE` of the tasks"},
		{"pool", "POOL", "`POOL` of the tasks"},
		{"retries", "RETRIES", "`NUMBER` of retries after exit code 1"},
		{"retry-delay", "RETRY_DELAY", "`DURATION` between retries, such as 5m"},
		{"owner", "OWNER", "`OWNER` of the tasks"},
		{"tag", "TAGS", "`TAG` of the DAG, in place of its own; may be repeated"},
		{"on-failure-callback", "ON_FAILURE_CALLBACK", "`MODULE:NAME` of what Airflow calls when a run has failed"},
		{"image", "IMAGE", "`IMAGE` of the containers, with --operator docker"},
	}
}

func dagFlags() (flags []cli.Flag) {
	for _, s := range dagSettings() {
		if s.flag == "tag" {
			flags = append(flags, &cli.StringSliceFlag{Name: s.flag, Usage: s.usage})
		} else {
			flags = append(flags, &cli.StringFlag{Name: s.flag, Usage: s.usage})
		}
	}
	return flags
}

// rendered returns the DAG with the settings of the flags, the constants of these, and the name of its file.
func (c *call) rendered() (name, text string, given []string) {
	name, text = dags.Template(c.String("operator"))
	for _, s := range dagSettings() {
		if !c.IsSet(s.flag) {
			continue
		}
		value := c.String(s.flag)
		if s.flag == "tag" {
			value = strings.Join(c.StringSlice(s.flag), ",")
		}
		set, err := dags.Set(text, s.constant, value)
		if s.flag == "image" && c.String("operator") != dags.Docker {
			err = errors.New("it needs --operator docker")
		}
		if err != nil {
			c.Fault(failure.Permanent(console.Usage, "read --%s: %w", s.flag, err).Want("see ecr-refresh dag --help"))
			continue
		}
		text, given = set, append(given, s.constant)
	}
	return name, text, given
}

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
		_, text, _ := c.rendered()
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
		Description: `Writes the file whole or not at all. A file that "dag install" wrote is
replaced and keeps its settings, whether flags set them or somebody edited them; flags win. A file that was
edited elsewhere stays as it is, and a diff of these edits is printed. A file that is up to date is left alone, so
that Airflow does not parse it again.

Example:
  ecr-refresh dag install --dags-folder /opt/airflow/dags --schedule '0 */6 * * *'` +
			exits("", wrong),
	}, nil, func(c *call) work {
		name, text, given := c.rendered()
		// The library would leave what stands before the subcommand's name unused.
		if before := c.Lineage()[1].LocalFlagNames(); len(before) > 0 {
			err := failure.Permanent(console.Usage, "read command line: --%s stands before install", before[0])
			c.Fault(err.Want("did you mean ecr-refresh dag install --" + before[0] + " …?"))
		}
		folder := c.String("dags-folder")
		if folder == "" {
			c.Missing("DAG folder", "--dags-folder", "")
		}
		return func(context.Context) ([]byte, error) { return c.install(filepath.Join(folder, name), text, given) }
	})
}

// install writes a DAG to path, with the settings of the file that is there, unless they are given by flags; with
// --force without. It returns a diff of what was edited besides settings, with an error.
func (c *call) install(path, text string, given []string) (edits []byte, err error) {
	there, err := os.ReadFile(path)
	installed := string(there)
	var kept []string
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && c.Bool("force"):
	case err != nil:
		return nil, failure.Permanent("", "read %q: %w", path, errors.Unwrap(err))
	default:
		if text, kept, err = dags.Upgrade(text, installed, given); errors.Is(err, dags.ErrEdited) {
			edits = diff.Diff("ecr-refresh dag", []byte(text), path, []byte(dags.Signed(installed)))
		}
		if err != nil {
			err := failure.Permanent(console.Usage, "install DAG: %q stays as it is: %w", path, err)
			return edits, err.Want("move it away, or give --force to lose what is in it")
		}
	}
	if len(kept) > 0 {
		c.Log.Info("kept settings of the file: " + strings.Join(kept, ", "))
	}
	if dags.Signed(installed) == text {
		c.Log.Info(path + " is up to date")
		return nil, nil
	}
	if err := privatefile.WritePublic(path, []byte(dags.Sign(text, version()))); err != nil {
		return nil, err
	}
	c.Log.Info(fmt.Sprintf("wrote %s: Airflow finds it within some minutes ([dag_processor] refresh_interval)", path))
	return nil, nil
}
