package main

import (
	"cmp"
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

func dagFlags() (flags []cli.Flag) {
	for _, o := range dags.Options() {
		var flag cli.Flag = &cli.StringFlag{Name: o.Name, Usage: o.What}
		if o.Constant == "TAGS" {
			flag = &cli.StringSliceFlag{Name: o.Name, Usage: o.What}
		}
		flags = append(flags, flag)
	}
	return flags
}

// rendered returns the DAG with the settings of the flags, the constants of these, and the name of its file, which is
// that of the DAG where the flags name one.
func (c *call) rendered() (name, text string, given []string) {
	name, text = dags.Template(c.String("operator"))
	if id := c.String("dag-id"); id != "" && !strings.Contains(text, fmt.Sprintf("DAG_ID = %q\n", id)) {
		name = id + ".py" // beside the DAG of the usual id
	}
	for _, o := range dags.Options() {
		if !c.IsSet(o.Name) {
			continue
		}
		value := cmp.Or(strings.Join(c.StringSlice(o.Name), ","), c.String(o.Name)) // tags are several
		set, err := o.Set(text, value)
		if o.Constant == "IMAGE" && c.String("operator") != dags.Docker {
			err = errors.New("it needs --operator docker")
		}
		if err != nil {
			c.Fault(failure.Permanent(console.Usage, "read --%s: %w", o.Name, err).Want("see ecr-refresh dag --help"))
			continue
		}
		text, given = set, append(given, o.Constant)
	}
	return name, text, given
}

func (p *program) dag() *cli.Command {
	command := p.local(cli.Command{
		Name:  "dag",
		Usage: "print the DAG that runs the steps",
		Flags: dagFlags(),
		Description: `Examples:
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
		Description: `A file that "dag install" wrote is replaced and keeps its settings, whether
flags set them or somebody edited them; flags win. One that was edited elsewhere stays, and a diff of these edits
is printed.

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
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, failure.Permanent("", "read %q: %w", path, errors.Unwrap(err))
	}
	installed := string(there)
	if err == nil && !c.Bool("force") {
		var kept []string
		text, kept, err = dags.Upgrade(text, installed, given)
		if errors.Is(err, dags.ErrEdited) {
			edits = diff.Diff("ecr-refresh dag", []byte(text), path, []byte(dags.Signed(installed)))
		}
		if err != nil {
			err := failure.Permanent(console.Usage, "install DAG: %q stays as it is: %w", path, err)
			return edits, err.Want("move it away, or give --force to lose what is in it")
		}
		if len(kept) > 0 {
			c.Log.Info("kept settings of the file: " + strings.Join(kept, ", "))
		}
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
