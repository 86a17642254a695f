package privatefile

import "os"

// WritePublic is Write for a file that others may read (0644).
func WritePublic(path string, text []byte) error {
	draft, err := draft(path, text)
	if err != nil {
		return writeError(path, err)
	}
	defer os.Remove(draft)
	if err = os.Chmod(draft, 0o644); err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		return writeError(path, err)
	}
	return nil
}
