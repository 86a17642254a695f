package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// writePublic puts text into the file at path, whole or not at all, for others to read. Its draft has a name that neither
// Airflow (*.py) nor a metrics collector (*.prom) takes for a file of its own.
func writePublic(path string, text []byte) error {
	draft, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*.tmp")
	if err != nil {
		return cause(err)
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(text)
	err = errors.Join(err, draft.Chmod(0o644), draft.Sync(), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), path)
	}
	return cause(err)
}

// cause leaves out the draft's name.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
