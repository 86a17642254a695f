// Package dag writes the DAG into Airflow's DAG folder.
package dag

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"ecr-refresh/dags"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

// Kinds of failure.
const (
	BadOption  failure.Kind = "dag option"       // it cannot be written into the DAG
	BadSetting failure.Kind = "dag file setting" // the file has one that this version rejects
	Edited     failure.Kind = "dag file edited"
)

// Install replaces a DAG file that is as an earlier install left it, with its settings; with Force any other, too.
type Install struct {
	Version string
	Force   bool
	Log     *slog.Logger
}

// Run writes text, which is what o renders to, to path.
func (i Install) Run(path, text string, o dags.Options) error {
	there, err := os.ReadFile(path)
	installed, unedited := dags.Signed(string(there))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return failure.Permanent("", "read %q: %w", path, errors.Unwrap(err))
	case i.Force:
	case !unedited:
		return failure.Permanent(Edited, "install DAG: %q was edited, or was not written by ecr-refresh", path)
	default:
		for _, kept := range o.Keep(installed, text) {
			i.Log.Info("kept " + kept + ", as the file had it")
		}
		if _, text, err = dags.Render(o); err != nil {
			return failure.Permanent(BadSetting, "render DAG as %q has it: %w", path, err)
		}
	}
	if unedited && installed == text {
		i.Log.Info(path + " is up to date")
		return nil
	}
	if err := privatefile.WritePublic(path, []byte(dags.Sign(text, i.Version))); err != nil {
		return err
	}
	i.Log.Info(fmt.Sprintf("wrote %s: Airflow finds it within some minutes ([dag_processor] refresh_interval)", path))
	return nil
}
