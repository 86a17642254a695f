package secret_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/secret"
)

func TestParseIdentity(t *testing.T) {
	t.Parallel()
	want := mustParse(t).Recipient()
	for _, row := range []struct {
		name, text string
		ok         bool
	}{
		{"alone", identity, true},
		{"with a line end", identity + "\n", true},
		{"with blanks", "  " + identity + "\t\n", true},
		{"as age-keygen writes it", "# created: 2026\n# public key: " + want + "\n" + identity + "\n", true},
		{"CRLF", "# created\r\n\r\n" + identity + "\r\n", true},
		{"comment behind", identity + "\n# end\n", true},
		{"empty", "", false},
		{"comments alone", "# a\n#b\n", false},
		{"recipient", want, false},
		{"garbage", clear, false},
		{"cut", identity[:40], false},
		{"altered", strings.Replace(identity, "GFPYY", "GFPYZ", 1), false},
		{"lower case", strings.ToLower(identity), false},
		{"garbage, then an identity", "hello\n" + identity, false},
		{"plugin identity", "AGE-PLUGIN-YUBIKEY-1QQPQQQQQQQ", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			id, err := secret.ParseIdentity(secret.New(row.text))
			switch {
			case row.ok && (err != nil || id.Recipient() != want || id.PrivateKey().Reveal() != identity):
				t.Errorf("%v", err)
			case !row.ok && (kindOf(err) != secret.NotAPrivateKey || !failure.IsPermanent(err)):
				t.Errorf("%v of kind %q", err, kindOf(err))
			case !row.ok && (leaks(err.Error()) || strings.Contains(err.Error(), identity[:20])):
				t.Errorf("the error repeats the text: %v", err)
			}
		})
	}
}

func kindOf(err error) failure.Kind {
	kind, _ := failure.Describe(err)
	return kind
}

func TestNewIdentitiesDiffer(t *testing.T) {
	t.Parallel()
	a, errA := secret.NewIdentity()
	b, errB := secret.NewIdentity()
	if errA != nil || errB != nil || a.Recipient() == b.Recipient() {
		t.Errorf("%v, %v", errA, errB)
	}
	if got := fmt.Sprint(a); got != "[redacted]" {
		t.Errorf("prints as %s", got)
	}
}

func TestCreateIdentity(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "state", "ecr-refresh")
	path := filepath.Join(folder, "identity")
	if _, err := secret.LoadIdentity(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	made, err := secret.CreateIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := secret.CreateIdentity(path)
	if err != nil || again.Recipient() != made.Recipient() {
		t.Errorf("created again: %v", err)
	}
	const private = fs.ModeDir | 0o700
	for name, want := range map[string]fs.FileMode{path: 0o600, folder: private, filepath.Dir(folder): private} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// Two first runs at once must not encrypt to a key that the other overwrites.
func TestCreateIdentityAtOnce(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "ecr-refresh")
	start := make(chan struct{})
	made := make(chan string, 50)
	var all sync.WaitGroup
	for range cap(made) {
		all.Go(func() {
			<-start
			id, err := secret.CreateIdentity(filepath.Join(folder, "identity"))
			if err != nil {
				t.Error(err)
				return
			}
			made <- id.Recipient()
		})
	}
	close(start)
	all.Wait()
	close(made)
	first := <-made
	for recipient := range made {
		if recipient != first {
			t.Fatalf("two key pairs: %s and %s", first, recipient)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestCreateIdentityRejects(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, row := range map[string]struct {
		path string
		kind failure.Kind
	}{
		"open to others":        {write("others", identity, 0o604), privatefile.OpenToOthers},
		"garbage":               {write("garbage", clear, 0o600), secret.NotAPrivateKey},
		"too long":              {write("long", strings.Repeat("#\n", 4<<10)+identity, 0o600), privatefile.TooLong},
		"below a file":          {filepath.Join(write("file", "", 0o600), "identity"), ""},
		"in a folder of nobody": {"/proc/ecr-refresh/identity", secret.CannotStoreKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := secret.CreateIdentity(row.path)
			if kindOf(err) != row.kind || !failure.IsPermanent(err) {
				t.Fatalf("%v of kind %q, want %q", err, kindOf(err), row.kind)
			}
			if !strings.Contains(err.Error(), row.path) || leaks(err.Error()) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A key file that was named on purpose may be a link, as kubelet mounts a Secret.
func TestLoadIdentityFollowsALink(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	link := filepath.Join(folder, "link")
	key := filepath.Join(folder, "key")
	if err := errors.Join(os.WriteFile(key, []byte(identity), 0o400), os.Symlink("key", link)); err != nil {
		t.Fatal(err)
	}
	if id, err := secret.LoadIdentity(link); err != nil || id.Recipient() != mustParse(t).Recipient() {
		t.Errorf("%v", err)
	}
}
