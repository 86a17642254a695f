package privatefile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

const long = 100

// Each kind of file, and the fault that Read and ReadMounted find in it; "" where they take it.
func TestRead(t *testing.T) {
	t.Parallel()
	type row struct {
		name          string
		put           func(path string) error
		read, mounted string
	}
	rows := []row{
		{"closed", file("text", 0o600), "", ""},
		{"closed to writing", file("text", 0o400), "", ""},
		{"empty", file("", 0o600), "", ""},
		{"as long as may be", file(strings.Repeat("x", long), 0o600), "", ""},
		{"too long", file(strings.Repeat("x", long+1), 0o600), "longer than 100 bytes", "longer than 100 bytes"},
		{"readable by others", file("text", 0o604), "mode 0604", "mode 0604"},
		{"writable by others", file("text", 0o602), "mode 0602", "mode 0602"},
		{"executable by others", file("text", 0o601), "mode 0601", "mode 0601"},
		{"writable by a group", file("text", 0o620), "mode 0620", "mode 0620"},
		{"link", func(path string) error {
			return errors.Join(file("text", 0o600)(path+".to"), os.Symlink(path+".to", path))
		}, "symbolic link", ""},
		{"link to nothing", func(path string) error { return os.Symlink(path+".to", path) }, "symbolic link", "no such file"},
		{"link to a loose file", func(path string) error {
			return errors.Join(file("text", 0o644)(path+".to"), os.Symlink(path+".to", path))
		}, "symbolic link", "mode 0644"},
		{"folder", func(path string) error { return os.Mkdir(path, 0o700) }, "not a regular file", "not a regular file"},
		{"pipe without a writer", func(path string) error { return syscall.Mkfifo(path, 0o600) }, "not a regular file", "not a regular file"},
		{"device", func(path string) error { return os.Symlink(os.DevNull, path) }, "symbolic link", "not a regular file"},
	}
	if os.Geteuid() == 0 {
		const somebody = 12345
		owned := func(mode fs.FileMode, uid, gid int) func(string) error {
			return func(path string) error { return errors.Join(file("text", mode)(path), os.Chown(path, uid, gid)) }
		}
		rows = append(rows, []row{
			{"somebody else's", owned(0o600, somebody, 0), "belongs to user 12345", "belongs to user 12345"},
			{"root's, for a group to read", owned(0o640, 0, somebody), "mode 0640", ""},
			{"root's, for a group to write", owned(0o660, 0, somebody), "mode 0660", "mode 0660"},
		}...)
	} else {
		rows = append(rows, row{"our own, for a group to read", file("text", 0o640), "mode 0640", "mode 0640"})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file")
			if err := row.put(path); err != nil {
				t.Fatal(err)
			}
			text, err := privatefile.Read(path, long)
			check(t, "Read", path, row.read, text, err)
			text, err = privatefile.ReadMounted(path, long)
			check(t, "ReadMounted", path, row.mounted, text, err)
		})
	}
}

func file(text string, mode fs.FileMode) func(string) error {
	return func(path string) error {
		return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode))
	}
}

func check(t *testing.T, call, path, fault string, text []byte, err error) {
	t.Helper()
	if fault == "" {
		if want, _ := os.ReadFile(path); err != nil || string(text) != string(want) {
			t.Errorf("%s: %q, %v", call, text, err)
		}
		return
	}
	if text != nil || !failure.IsPermanent(err) || !strings.Contains(err.Error(), fault) || !strings.Contains(err.Error(), path) {
		t.Errorf("%s: %q, error %v, want %q", call, text, err, fault)
	}
}

func TestReadMissing(t *testing.T) {
	t.Parallel()
	for _, read := range []func(string, int64) ([]byte, error){privatefile.Read, privatefile.ReadMounted} {
		path := filepath.Join(t.TempDir(), "file")
		_, err := read(path, long)
		if !errors.Is(err, fs.ErrNotExist) || !failure.IsPermanent(err) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%v", err)
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"nothing there": func(string) error { return nil },
		"a loose file":  file("old and longer", 0o666),
		"a link": func(path string) error {
			return errors.Join(file("kept", 0o644)(filepath.Join(filepath.Dir(filepath.Dir(path)), "target")), os.Symlink("../target", path))
		},
		"a pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := t.TempDir()
			folder := filepath.Join(outside, "folder")
			path := filepath.Join(folder, "file")
			if err := errors.Join(os.Mkdir(folder, 0o700), put(path)); err != nil {
				t.Fatal(err)
			}
			if err := privatefile.Write(path, []byte("new")); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if text, err := privatefile.Read(path, long); err != nil || string(text) != "new" {
				t.Errorf("%q, %v", text, err)
			}
			if text, err := os.ReadFile(filepath.Join(outside, "target")); err == nil && string(text) != "kept" {
				t.Errorf("the link was followed: %q", text)
			}
			checkAlone(t, folder, "file")
		})
	}
}

// checkAlone finds drafts that were left behind.
func checkAlone(t *testing.T, folder string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if err != nil || strings.Join(found, " ") != strings.Join(names, " ") {
		t.Errorf("in the folder: %v, %v; want %v", found, err, names)
	}
}

// /dev/stdout is a link to what is no file: to put a file in its place would take it from everybody.
func TestCheckWriteRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	pipe, toPipe, stdout, toFile := filepath.Join(folder, "pipe"), filepath.Join(folder, "to-pipe"), filepath.Join(folder, "stdout"), filepath.Join(folder, "to-file")
	plain := filepath.Join(folder, "plain")
	if err := errors.Join(file("kept", 0o600)(plain), os.Symlink(plain, toFile), syscall.Mkfifo(pipe, 0o600), os.Symlink(pipe, toPipe),
		os.Symlink("/proc/self/fd/1", stdout)); err != nil {
		t.Fatal(err)
	}
	for path, fits := range map[string]bool{folder: false, pipe: false, toPipe: false, stdout: false, plain: true, toFile: true, filepath.Join(folder, "none"): true} {
		if err := privatefile.CheckWrite(path); (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	checkAlone(t, folder, "pipe", "plain", "stdout", "to-file", "to-pipe")
}

// What stands at the path when a write fails must still stand there, with no draft beside it.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(string, []byte) error{"Write": privatefile.Write, "Create": privatefile.Create} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := errors.Join(os.MkdirAll(filepath.Join(folder, "full", "x"), 0o700), file("kept", 0o600)(filepath.Join(folder, "plain"))); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{
				filepath.Join(folder, "full"),
				filepath.Join(folder, "plain", "file"),
				filepath.Join(folder, strings.Repeat("x", 300)),
			} {
				if err := write(path, []byte("new")); !failure.IsPermanent(err) || strings.Count(err.Error(), path) != 1 {
					t.Errorf("%s: %v", path, err)
				}
			}
			if text, err := os.ReadFile(filepath.Join(folder, "plain")); err != nil || string(text) != "kept" {
				t.Errorf("%q, %v", text, err)
			}
			checkAlone(t, folder, "full", "plain")
		})
	}
}

func TestWriteNeedsItsFolder(t *testing.T) {
	t.Parallel()
	if err := privatefile.Write(filepath.Join(t.TempDir(), "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// One of many creators wins, its text stands whole, and all others are told.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(folder, "file")
	start := make(chan struct{})
	won := make(chan string, 50)
	var all sync.WaitGroup
	for i := range cap(won) {
		all.Go(func() {
			<-start
			text := fmt.Sprint(i)
			switch err := privatefile.Create(path, []byte(text)); {
			case err == nil:
				won <- text
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	close(won)
	text, err := privatefile.Read(path, long)
	if len(won) != 1 || err != nil || string(text) != <-won {
		t.Errorf("%d creators won; %q, %v", len(won), text, err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	checkAlone(t, folder, "file")
}

func TestCreateKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, put := range map[string]func(string) error{
		"file": file("kept", 0o600),
		"link": func(path string) error { return os.Symlink("nowhere", path) },
	} {
		path := filepath.Join(folder, name)
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		if err := privatefile.Create(path, []byte("new")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(folder, "file")); err != nil || string(text) != "kept" {
		t.Errorf("%q, %v", text, err)
	}
	checkAlone(t, folder, "file", "link")
}
