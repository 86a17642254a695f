// Package privatefile reads and writes small files that only their owner may see: the sealing identity and the
// documents that the steps exchange. What is checked is what is read: the checks look at the open file, not at its path.
package privatefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ecr-refresh/steps/failure"
)

// Read gives the text of the regular file at path, at most max bytes. The file must belong to this user or root and be
// closed to group and others, and must not be a symbolic link: in a shared folder somebody else may have put one there.
// A missing file is fs.ErrNotExist.
func Read(path string, max int64) ([]byte, error) {
	text, err := read(path, max, syscall.O_NOFOLLOW, 0o077)
	if errors.Is(err, syscall.ELOOP) {
		return nil, failure.Permanent("name the file itself", "read %q: it is a symbolic link", path)
	}
	return text, err
}

// ReadMounted is Read for a file that its user named on purpose, such as a mounted Kubernetes Secret: links are
// followed (kubelet mounts each key as one), and root's file may be readable by a group (its fsGroup).
func ReadMounted(path string, max int64) ([]byte, error) {
	return read(path, max, 0, 0o037)
}

func read(path string, max int64, flag int, forbidden fs.FileMode) ([]byte, error) {
	// O_NONBLOCK: opening a pipe must not wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|flag, 0)
	if err != nil {
		return nil, readError(path, err)
	}
	defer f.Close()
	if err := check(f, forbidden); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, readError(path, err)
	}
	if int64(len(text)) > max {
		return nil, failure.Permanent("name the file that ecr-refresh wrote: it is far smaller", "read %q: it is longer than %d bytes", path, max)
	}
	return text, nil
}

// readError drops the operation and path that fs.PathError would repeat.
func readError(path string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return failure.Permanent("", "read %q: %w", path, err)
}

func check(f *os.File, forbidden fs.FileMode) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return failure.Permanent("name a file, or give - and the document on stdin", "read %q: it is not a regular file", f.Name())
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	if owner != os.Geteuid() && owner != 0 {
		return failure.Permanent(failure.Kind(fmt.Sprintf("make the file again as user %d", os.Geteuid())),
			"read %q: it belongs to user %d", f.Name(), owner)
	}
	if owner != 0 {
		forbidden = 0o077
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return failure.Permanent(failure.Kind("run: chmod 600 "+f.Name()+"; a Kubernetes Secret wants defaultMode: 0400, or 0440 with fsGroup"), "read %q: mode %04o lets others at it", f.Name(), mode)
	}
	return nil
}

// CheckWrite tells beforehand whether Write could write: the folder takes a file, and no device or pipe, nor a link to one,
// is in its place.
func CheckWrite(path string) error {
	if !replaceable(path) {
		return failure.Permanent("name a file", "write %q: it is not a regular file", path)
	}
	draft, err := draft(path, nil)
	if err != nil {
		return writeError(path, err)
	}
	return os.Remove(draft)
}

// replaceable tells a file, a link to one, and nothing at all. What leads into /proc, as /dev/stdout does, may end at a file,
// but whoever names it does not mean that link itself.
func replaceable(path string) bool {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		if to, _ := os.Readlink(path); strings.HasPrefix(to, "/proc/") {
			return false
		}
		info, err = os.Stat(path)
	}
	return err != nil || info.Mode().IsRegular()
}

// Write puts text at path, whole or not at all: a temporary file (0600) in the same folder, synced, then renamed over
// what was there. A symbolic link at path is replaced, never followed.
func Write(path string, text []byte) error {
	draft, err := draft(path, text)
	if err != nil {
		return writeError(path, err)
	}
	if err := os.Rename(draft, path); err != nil {
		os.Remove(draft)
		return writeError(path, err)
	}
	return nil
}

// Create is Write for a file that must not be there yet: fs.ErrExist when it is. Its folder is made (0700) if need be.
func Create(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return writeError(path, err)
	}
	draft, err := draft(path, text)
	if err != nil {
		return writeError(path, err)
	}
	defer os.Remove(draft)
	if err := os.Link(draft, path); err != nil {
		return writeError(path, err)
	}
	return nil
}

func draft(path string, text []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".ecr-refresh-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func writeError(path string, err error) error {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return failure.Permanent(writeHint(err), "write %q: %w", path, err)
}

func writeHint(err error) failure.Kind {
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return "make room on its disk, or name a file on another one"
	case errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission):
		return failure.Kind(fmt.Sprintf("name a file in a folder that user %d may write to", os.Geteuid()))
	case errors.Is(err, fs.ErrNotExist):
		return "make its folder, or name a file in another one"
	}
	return ""
}
