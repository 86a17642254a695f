package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/secret"
)

func TestParseIdentity(t *testing.T) {
	t.Parallel()
	want := mustParse(t).Recipient()
	for text, ok := range map[string]bool{
		"  " + identity + "\t\n": true,
		"# created: 2026\r\n\r\n# public key: " + want + "\r\n" + identity + "\r\n# end\n": true,
		"# a key in a YAML block\n  " + identity + "  \n  \n":                              true,
		"# a\n#b\n":                            false,
		want:                                   false,
		strings.Replace(identity, "Y", "Z", 1): false,
		strings.ToLower(identity):              false,
		"hello\n" + identity:                   false,
		"AGE-PLUGIN-YUBIKEY-1QQPQQQQQQQ":       false,
	} {
		id, err := secret.ParseIdentity(secret.New(text))
		switch {
		case ok && (err != nil || id.Recipient() != want || id.PrivateKey().Reveal() != identity):
			t.Errorf("%q: %v", text, err)
		case !ok && (kindOf(err) != secret.NotAKey || !failure.IsPermanent(err)):
			t.Errorf("%q: %v of kind %q", text, err, kindOf(err))
		case !ok && (strings.Contains(err.Error(), identity[:20]) || strings.Contains(err.Error(), "hello")):
			t.Errorf("the error repeats the text: %v", err)
		}
	}
}

func kindOf(err error) failure.Kind {
	kind, _ := failure.Describe(err)
	return kind
}

// Two first runs at once must not encrypt to a key that the other overwrites. The folder is made; nobody else may look
// into it.
func TestCreateIdentityAtOnce(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "state", "ecr-refresh")
	path := filepath.Join(folder, "identity")
	if _, err := secret.LoadIdentity(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	made := make(chan string)
	for range 50 {
		go func() {
			id, err := secret.CreateIdentity(path)
			if err != nil {
				t.Error(err)
				id = secret.NewIdentity()
			}
			made <- id.Recipient()
		}()
	}
	first := <-made
	for range 49 {
		if recipient := <-made; recipient != first {
			t.Errorf("two key pairs: %s and %s", first, recipient)
		}
	}
	if other, err := secret.CreateIdentity(path + "2"); err != nil || other.Recipient() == first {
		t.Errorf("two files have one key pair: %v", err)
	}
	// A key file that was named on purpose may be a link, as kubelet mounts a Secret.
	must(t, os.Symlink(path, path+".link"))
	if linked, err := secret.LoadIdentity(path + ".link"); err != nil || linked.Recipient() != first {
		t.Errorf("%v", err)
	}
	const private = fs.ModeDir | 0o700
	for name, want := range map[string]fs.FileMode{path: 0o600, folder: private, filepath.Dir(folder): private} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 3 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestCreateIdentityRejects(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(folder, name)
		must(t, os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode))
		return path
	}
	for path, want := range map[string]failure.Kind{
		write("open to others", identity, 0o604):                        privatefile.OpenToOthers,
		write("garbage", clear, 0o600):                                  secret.NotAKey,
		write("too long", strings.Repeat("#\n", 4<<10)+identity, 0o600): privatefile.NotRegular,
		"/proc/ecr-refresh/identity":                                    secret.CannotStoreKey,
	} {
		_, err := secret.CreateIdentity(path)
		if kindOf(err) != want || !failure.IsPermanent(err) || !strings.Contains(err.Error(), path) ||
			shows(err.Error()) {
			t.Errorf("%v of kind %q, want %q", err, kindOf(err), want)
		}
	}
}
