// Package privatefile reads and writes small files, each whole or not at all: private ones that only their owner may
// see (a private key, the results that the steps exchange), and public ones. The open file is checked, not its path.
package privatefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"ecr-refresh/steps/failure"
)

// Why a file was not read or written. The fact Object is its path, and Want the user id that should own it or write it.
const (
	NotRegular   failure.Kind = "not a regular file, or too long" // nor is a link one, where it is not followed
	OtherOwner   failure.Kind = "file belongs to another user"
	OpenToOthers failure.Kind = "file is open to other users"
	NotReadable  failure.Kind = "file is not readable"
	NotWritable  failure.Kind = "file cannot be written"
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
		return nil, fault(NotRegular, "read %q: it is a symbolic link", path)
	}
	if err != nil {
		return nil, fault(NotReadable, "read %q: %w", path, cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fault(NotReadable, "read %q: %w", path, cause(err))
	case !info.Mode().IsRegular():
		return nil, fault(NotRegular, "read %q: it is not a regular file", path)
	case ownerOf(info) != 0:
		forbidden = 0o077
	}
	if err := check(path, info, forbidden); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	switch {
	case err != nil:
		return nil, fault(NotReadable, "read %q: %w", path, cause(err))
	case int64(len(text)) > max:
		return nil, fault(NotRegular, "read %q: it is longer than %d bytes", path, max)
	}
	return text, nil
}

// CheckFolder returns an error unless a folder belongs to this user or root, and only its owner may write to it: who
// else may can put another file in its place. The error of a missing one is fs.ErrNotExist.
func CheckFolder(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fault(NotReadable, "read %q: %w", path, cause(err))
	}
	return check(path, info, 0o022)
}

// check looks at the owner and the mode of a file or folder.
func check(path string, info fs.FileInfo, forbidden fs.FileMode) error {
	owner, mode := ownerOf(info), info.Mode().Perm()
	switch {
	case owner != os.Geteuid() && owner != 0:
		return fault(OtherOwner, "read %q: it belongs to user %d", path, owner)
	case mode&forbidden != 0:
		return fault(OpenToOthers, "read %q: mode %04o opens it to other users", path, mode)
	}
	return nil
}

func ownerOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// CheckWrite reports beforehand whether Write could write: the folder accepts a file, and no device or pipe, nor a link
// to one, is in its place. /dev/stdout may link to a file: neither it nor a link to it is replaced.
func CheckWrite(path string) error {
	info, err := os.Stat(path)
	link, _ := os.Readlink(path)
	special := regexp.MustCompile(`^/(proc/|dev/(fd/|std))`).MatchString(link)
	if special || err == nil && !info.Mode().IsRegular() {
		return fault(NotRegular, "write %q: it is not a regular file", path)
	}
	return write(path, nil, 0o600, func(string, string) error { return nil })
}

// Write replaces the file at path by a private one (0600) with text. A symbolic link is replaced, never followed.
func Write(path string, text []byte) error { return write(path, text, 0o600, os.Rename) }

// WritePublic is Write for a file that everybody may read (0644).
func WritePublic(path string, text []byte) error { return write(path, text, 0o644, os.Rename) }

// Create is Write for a file that must not exist yet (else fs.ErrExist). It makes a missing folder (0700), too.
func Create(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault(NotWritable, "write %q: %w", path, cause(err))
	}
	return write(path, text, 0o600, os.Link)
}

// write makes a draft beside path, syncs it, and lets place rename or link it, so that the file appears whole. Neither
// Airflow (*.py) nor a metrics collector (*.prom) reads a file of the draft's name.
func write(path string, text []byte, mode fs.FileMode, place func(draft, path string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".ecr-refresh-*")
	if err != nil {
		return fault(NotWritable, "write %q: %w", path, cause(err))
	}
	defer os.Remove(f.Name()) // a renamed one is gone
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = place(f.Name(), path)
	}
	if err != nil {
		return fault(NotWritable, "write %q: %w", path, cause(err))
	}
	return nil
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
