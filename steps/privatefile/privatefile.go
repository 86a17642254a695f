// Package privatefile reads and writes small files, each whole or not at all: private ones that only their owner may
// see (a private key, the results that the steps exchange), and public ones. What is checked is what is read: the
// checks look at the open file, not at its path.
package privatefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"ecr-refresh/steps/failure"
)

// Why a file was not read or written. The fact Object is its path, and Want the user id that should own it or write it.
const (
	SymbolicLink   failure.Kind = "file is a symbolic link"
	NotRegular     failure.Kind = "file to read is not a regular file"
	OtherOwner     failure.Kind = "file belongs to another user"
	OpenToOthers   failure.Kind = "file is open to other users"
	TooLong        failure.Kind = "file is too long"
	NotReplaceable failure.Kind = "file to write is not a regular file"
	DiskFull       failure.Kind = "disk is full"
	NotWritable    failure.Kind = "folder is not writable"
	NoFolder       failure.Kind = "folder does not exist"
)

// Read returns the text of the regular file at path, at most max bytes. The file must belong to this user or root and
// be closed to group and others, and must not be a symbolic link: in a shared folder somebody else may have put one
// there. The error of a missing file is fs.ErrNotExist.
func Read(path string, max int64) ([]byte, error) {
	return read(path, max, syscall.O_NOFOLLOW, 0o077)
}

// ReadMounted is Read for a file that its user named on purpose, such as a mounted Kubernetes Secret: links are
// followed (kubelet mounts each key as one), and root's file may be readable by a group (its fsGroup).
func ReadMounted(path string, max int64) ([]byte, error) {
	return read(path, max, 0, 0o037)
}

func read(path string, max int64, flag int, forbidden fs.FileMode) ([]byte, error) {
	// O_NONBLOCK: opening a pipe must not wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|flag, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fault(SymbolicLink, "read %q: it is a symbolic link", path)
	}
	if err != nil {
		return nil, fault("", "read %q: %w", path, cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = check(path, info, forbidden)
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	switch {
	case err != nil:
		return nil, fault("", "read %q: %w", path, cause(err))
	case int64(len(text)) > max:
		return nil, fault(TooLong, "read %q: it is longer than %d bytes", path, max)
	}
	return text, nil
}

// check rejects a file that another user may have written, or can read.
func check(path string, info fs.FileInfo, forbidden fs.FileMode) error {
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	if owner != 0 {
		forbidden = 0o077
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fault(NotRegular, "read %q: it is not a regular file", path)
	case owner != os.Geteuid() && owner != 0:
		return fault(OtherOwner, "read %q: it belongs to user %d", path, owner)
	case mode.Perm()&forbidden != 0:
		return fault(OpenToOthers, "read %q: mode %04o opens it to other users", path, mode.Perm())
	}
	return nil
}

// CheckWrite reports beforehand whether Write could write: the folder accepts a file, and no device or pipe, nor a link
// to one, is in its place. /dev/stdout may be a link to a file, but nobody wants that link to be replaced.
func CheckWrite(path string) error {
	if info, err := os.Stat(path); filepath.Dir(path) == "/dev" || err == nil && !info.Mode().IsRegular() {
		return fault(NotReplaceable, "write %q: it is not a regular file", path)
	}
	draft, err := newDraft(path, nil, 0o600)
	if err != nil {
		return writeError(path, err)
	}
	return os.Remove(draft)
}

// Write replaces the file at path by a private one (0600) with text. A symbolic link is replaced, never followed.
func Write(path string, text []byte) error { return write(path, text, 0o600, os.Rename) }

// WritePublic is Write for a file that everybody may read (0644).
func WritePublic(path string, text []byte) error { return write(path, text, 0o644, os.Rename) }

// Create is Write for a file that must not exist yet: the error is fs.ErrExist if it does. It makes the folder (0700)
// where that is missing.
func Create(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return writeError(path, err)
	}
	return write(path, text, 0o600, os.Link)
}

// write makes a draft beside path and lets place rename or link it, so that the file appears whole.
func write(path string, text []byte, mode fs.FileMode, place func(draft, path string) error) error {
	draft, err := newDraft(path, text, mode)
	if err == nil {
		err = place(draft, path)
		os.Remove(draft) // a renamed one is gone
	}
	if err != nil {
		return writeError(path, err)
	}
	return nil
}

// newDraft returns the name of a temporary file with text, which is synced. Neither Airflow (*.py) nor a metrics
// collector (*.prom) reads a file of that name.
func newDraft(path string, text []byte, mode fs.FileMode) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".ecr-refresh-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func writeError(path string, err error) error {
	var kind failure.Kind
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		kind = DiskFull
	case errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission):
		kind = NotWritable
	case errors.Is(err, fs.ErrNotExist):
		kind = NoFolder
	}
	return fault(kind, "write %q: %w", path, cause(err))
}

func fault(kind failure.Kind, format, path string, args ...any) error {
	err := failure.Permanent(kind, format, append([]any{path}, args...)...)
	return err.About(path).Want(strconv.Itoa(os.Geteuid()))
}

// cause drops the operation and the path, which may be the draft's.
func cause(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}
