package privatefile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

const long = 100

// Each kind of file, and why Read and ReadMounted reject it; "" where they do not.
func TestRead(t *testing.T) {
	t.Parallel()
	type row struct {
		name          string
		put           func(path string) error
		read, mounted failure.Kind
	}
	linked := func(mode fs.FileMode) func(string) error {
		return func(path string) error {
			return errors.Join(file("text", mode)(path+".to"), os.Symlink(path+".to", path))
		}
	}
	const link, open, irregular = privatefile.SymbolicLink, privatefile.OpenToOthers, privatefile.NotRegular
	rows := []row{
		{"closed", file("text", 0o600), "", ""},
		{"closed to writing", file("text", 0o400), "", ""},
		{"empty", file("", 0o600), "", ""},
		{"at the limit", file(strings.Repeat("x", long), 0o600), "", ""},
		{"over the limit", file(strings.Repeat("x", long+1), 0o600), privatefile.TooLong, privatefile.TooLong},
		{"readable by others", file("text", 0o604), open, open},
		{"writable by others", file("text", 0o602), open, open},
		{"executable by others", file("text", 0o601), open, open},
		{"writable by a group", file("text", 0o620), open, open},
		{"link", linked(0o600), link, ""},
		{"link to an open file", linked(0o644), link, open},
		{"folder", func(path string) error { return os.Mkdir(path, 0o700) }, irregular, irregular},
		{"pipe without a writer", func(path string) error { return syscall.Mkfifo(path, 0o600) }, irregular, irregular},
		{"device", func(path string) error { return os.Symlink(os.DevNull, path) }, link, irregular},
	}
	if os.Geteuid() == 0 {
		const somebody = 12345
		owned := func(mode fs.FileMode, uid, gid int) func(string) error {
			return func(path string) error { return errors.Join(file("text", mode)(path), os.Chown(path, uid, gid)) }
		}
		rows = append(rows, []row{
			{"somebody else's", owned(0o600, somebody, 0), privatefile.OtherOwner, privatefile.OtherOwner},
			{"root's, for a group to read", owned(0o640, 0, somebody), open, ""},
			{"root's, for a group to write", owned(0o660, 0, somebody), open, open},
		}...)
	} else {
		rows = append(rows, row{"our own, for a group to read", file("text", 0o640), open, open})
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

func check(t *testing.T, call, path string, want failure.Kind, text []byte, err error) {
	t.Helper()
	if want == "" {
		if want, _ := os.ReadFile(path); err != nil || string(text) != string(want) {
			t.Errorf("%s: %q, %v", call, text, err)
		}
		return
	}
	kind, facts := failure.Describe(err)
	if text != nil || !failure.IsPermanent(err) || kind != want || !strings.Contains(err.Error(), path) {
		t.Errorf("%s: %q, error %v of kind %q, want %q", call, text, err, kind, want)
	}
	if facts.Object != path || facts.Want != fmt.Sprint(os.Geteuid()) {
		t.Errorf("%s: facts %+v", call, facts)
	}
}

func TestReadMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	_, absent := privatefile.Read(path, long)
	_, broken := privatefile.ReadMounted(link, long)
	for path, err := range map[string]error{path: absent, link: broken} {
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
			target := filepath.Join(filepath.Dir(path), "../target")
			return errors.Join(file("kept", 0o644)(target), os.Symlink("../target", path))
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
			checkWritten(t, path, privatefile.WritePublic, 0o644)
			checkWritten(t, path, privatefile.Write, 0o600)
			if text, err := os.ReadFile(filepath.Join(outside, "target")); err == nil && string(text) != "kept" {
				t.Errorf("the link was followed: %q", text)
			}
			checkAlone(t, folder, "file")
		})
	}
}

func checkWritten(t *testing.T, path string, write func(string, []byte) error, mode fs.FileMode) {
	t.Helper()
	if err := write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != mode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "new" {
		t.Errorf("%q, %v", text, err)
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

// /dev/stdout is a link to what is no file: a file in its place would break it for everybody.
func TestCheckWrite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	if err := errors.Join(
		file("kept", 0o600)(in("plain")), os.Symlink(in("plain"), in("to-plain")), syscall.Mkfifo(in("pipe"), 0o600),
		os.Symlink(in("pipe"), in("to-pipe")), os.Symlink("/proc/self/fd/1", in("stdout")),
	); err != nil {
		t.Fatal(err)
	}
	const irregular = privatefile.NotReplaceable
	for path, want := range map[string]failure.Kind{
		folder: irregular, in("pipe"): irregular, in("to-pipe"): irregular, in("stdout"): irregular,
		in("none/file"): privatefile.NoFolder, in("plain"): "", in("to-plain"): "", in("none"): "",
	} {
		err := privatefile.CheckWrite(path)
		if kind, _ := failure.Describe(err); kind != want || (err == nil) != (want == "") {
			t.Errorf("%s: %v of kind %q", path, err, kind)
		}
	}
	checkAlone(t, folder, "pipe", "plain", "stdout", "to-pipe", "to-plain")
}

// What stands at the path when a write fails must still stand there, with no draft beside it.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(string, []byte) error{
		"Write": privatefile.Write, "WritePublic": privatefile.WritePublic, "Create": privatefile.Create,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			full, plain, long := filepath.Join(folder, "full"), filepath.Join(folder, "plain"), strings.Repeat("x", 300)
			if err := errors.Join(os.MkdirAll(full+"/x", 0o700), file("kept", 0o600)(plain)); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{full, plain + "/file", filepath.Join(folder, long)} {
				err := write(path, []byte("new"))
				if !failure.IsPermanent(err) || strings.Count(err.Error(), path) != 1 {
					t.Errorf("%s: %v", path, err)
				}
			}
			if text, err := os.ReadFile(plain); err != nil || string(text) != "kept" {
				t.Errorf("%q, %v", text, err)
			}
			checkAlone(t, folder, "full", "plain")
		})
	}
}

func TestWriteNeedsItsFolder(t *testing.T) {
	t.Parallel()
	err := privatefile.Write(filepath.Join(t.TempDir(), "none", "file"), nil)
	if kind, _ := failure.Describe(err); kind != privatefile.NoFolder || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v of kind %q", err, kind)
	}
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
