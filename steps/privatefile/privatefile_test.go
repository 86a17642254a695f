package privatefile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

const (
	long   = 100
	nobody = 65534
	asRoot = "as root: "
)

// Each kind of file, and why Read and ReadMounted reject it; "" where they do not.
func TestRead(t *testing.T) {
	t.Parallel()
	linked := func(mode fs.FileMode) func(string) error {
		return func(path string) error {
			return errors.Join(file("text", mode)(path+".to"), os.Symlink(path+".to", path))
		}
	}
	somebodys := func(path string) error { return errors.Join(file("text", 0o600)(path), os.Chown(path, nobody, 0)) }
	const link, open, irregular = privatefile.NotRegular, privatefile.OpenToOthers, privatefile.NotRegular
	for _, row := range []struct {
		name          string
		put           func(path string) error
		read, mounted failure.Kind
	}{
		{"closed to writing", file("text", 0o400), "", ""},
		{"at the limit", file(strings.Repeat("x", long), 0o600), "", ""},
		{"over the limit", file(strings.Repeat("x", long+1), 0o600), privatefile.NotRegular, privatefile.NotRegular},
		{"readable by others", file("text", 0o604), open, open},
		{"writable by others", file("text", 0o602), open, open},
		{"executable by others", file("text", 0o601), open, open},
		{"writable by a group", file("text", 0o620), open, open},
		{"link", linked(0o600), link, ""},
		{"link to an open file", linked(0o644), link, open},
		{"folder", func(path string) error { return os.Mkdir(path, 0o700) }, irregular, irregular},
		{"pipe without a writer", func(path string) error { return syscall.Mkfifo(path, 0o600) }, irregular, irregular},
		{asRoot + "somebody else's", somebodys, privatefile.OtherOwner, privatefile.OtherOwner},
		{asRoot + "for a group to read", file("text", 0o640), open, ""},
	} {
		if strings.HasPrefix(row.name, asRoot) && os.Geteuid() != 0 {
			continue
		}
		path := filepath.Join(t.TempDir(), "file")
		must(t, row.put(path))
		text, err := privatefile.Read(path, long)
		check(t, row.name+", Read", path, row.read, text, err)
		text, err = privatefile.ReadMounted(path, long)
		check(t, row.name+", ReadMounted", path, row.mounted, text, err)
	}
}

// Only root's file may be readable by a group. Root runs this as another user, in a thread of its own.
func TestReadAsAUser(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	must(t, file("text", 0o640)(path), os.Chmod(folder, 0o755), os.Chmod(filepath.Dir(folder), 0o755))
	done := make(chan error)
	go func() {
		if os.Geteuid() == 0 {
			must(t, os.Chown(path, nobody, 0))
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			_, _, _ = syscall.RawSyscall(syscall.SYS_SETREUID, ^uintptr(0), nobody, 0)
		}
		_, err := privatefile.ReadMounted(path, long)
		done <- err
	}()
	err := <-done
	if kind, _ := failure.Describe(err); kind != privatefile.OpenToOthers {
		t.Errorf("%v of kind %q", err, kind)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func file(text string, mode fs.FileMode) func(string) error {
	return func(path string) error {
		return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode))
	}
}

// check compares what was read, or the error, with what is wanted.
func check(t *testing.T, call, path string, want failure.Kind, text []byte, err error) {
	t.Helper()
	if err == nil && want == "" {
		checkText(t, path, string(text))
		return
	}
	kind, facts := failure.Describe(err)
	if text != nil || !failure.IsPermanent(err) || kind != want || !strings.Contains(err.Error(), path) ||
		facts != (failure.Facts{Object: path, Want: fmt.Sprint(os.Geteuid())}) {
		t.Errorf("%s: %q, error %v of kind %q, %+v; want %q", call, text, err, kind, facts, want)
	}
}

// A link or a pipe is replaced, and not followed or written to.
func TestWrite(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	target, folder := filepath.Join(outside, "target"), filepath.Join(outside, "folder")
	path := filepath.Join(folder, "file")
	for _, put := range []func(path string) error{
		func(string) error { return nil },
		file("old and longer", 0o666),
		func(path string) error { return os.Symlink(target, path) },
		func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		must(t, file("kept", 0o644)(target), os.MkdirAll(folder, 0o700), put(path))
		for mode, write := range map[fs.FileMode]func(string, []byte) error{
			0o600: privatefile.Write, 0o644: privatefile.WritePublic,
		} {
			must(t, write(path, []byte("new")))
			if info, err := os.Lstat(path); err != nil || info.Mode() != mode {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			checkText(t, path, "new")
		}
		checkText(t, target, "kept")
		checkAlone(t, folder, 1)
		must(t, os.RemoveAll(folder))
	}
}

func checkText(t *testing.T, path, want string) {
	t.Helper()
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%s: %q, %v", path, text, err)
	}
}

// checkAlone finds drafts that were left behind.
func checkAlone(t *testing.T, folder string, files int) {
	t.Helper()
	if found, err := os.ReadDir(folder); err != nil || len(found) != files {
		t.Errorf("in the folder: %v, %v; want %d files", found, err, files)
	}
}

// /dev/stdout is a link to what is no file: a file in its place would break it for everybody.
func TestCheckWrite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	opened, err := os.Create(in("opened"))
	must(t, err)
	defer opened.Close()
	must(t, file("kept", 0o600)(in("plain")), os.Symlink("plain", in("to-plain")),
		syscall.Mkfifo(in("pipe"), 0o600), os.Symlink(in("pipe"), in("to-pipe")),
		os.Symlink("/proc/self/exe", in("to-proc")), os.Symlink(fmt.Sprintf("/dev/fd/%d", opened.Fd()), in("to-dev")))
	const irregular = privatefile.NotRegular
	for path, want := range map[string]failure.Kind{
		folder: irregular, in("pipe"): irregular, in("to-pipe"): irregular, in("to-proc"): irregular,
		in("to-dev"): irregular, "/dev/stdout": irregular,
		in("none/file"): privatefile.NotWritable, in("plain"): "", in("to-plain"): "", in("none"): "",
	} {
		err := privatefile.CheckWrite(path)
		if kind, _ := failure.Describe(err); kind != want || (err == nil) != (want == "") {
			t.Errorf("%s: %v of kind %q", path, err, kind)
		}
	}
	checkAlone(t, folder, 7)
}

// What stands at the path when a write fails must still stand there, with no draft beside it.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	full, plain := filepath.Join(folder, "full"), filepath.Join(folder, "plain")
	must(t, os.MkdirAll(full+"/x", 0o700), file("kept", 0o600)(plain), os.Symlink("nowhere", folder+"/link"))
	link, below := filepath.Join(folder, "link"), filepath.Join(plain, "file")
	for err, path := range map[error]string{
		privatefile.Write(full, nil): full, privatefile.Write(below, nil): below, privatefile.Create(full, nil): full,
		privatefile.Create(plain, nil): plain, privatefile.Create(link, nil): link,
		privatefile.Create(below, nil): below,
	} {
		if !failure.IsPermanent(err) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := privatefile.Create(plain, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	checkText(t, plain, "kept")
	checkAlone(t, folder, 3)
}
