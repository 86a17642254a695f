package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// debian is a machine on which nothing but the commands of the scripts is real: it has packages one and two.
type debian struct{ dir string }

// commands stand in for Debian's, and write what they are asked for to the file asked.
const commands = `
apt-get     case "$*" in
              *install*) printf 'three\nfour\n' >>"$dir/have" ;;
              "-s remove"*) shift 2; for p in "$@" $(cat "$dir/needs" 2>/dev/null); do echo "Remv $p [1]"; done; exit ;;
            esac
dpkg-query  sed 's/^/ii /' "$dir/have"; exit
dpkg        printf '/lib/systemd/system/three.service\n/usr/lib/systemd/system/three.socket\n/etc/init.d/three\n'
            printf '/lib/systemd/system/three@.service\n/usr/bin/three\n'; exit
systemctl
update-rc.d
id          echo 0; exit
`

func newDebian(t *testing.T) debian {
	d := debian{t.TempDir()}
	d.write(t, "have", "one\ntwo\n", 0o600)
	for _, folder := range []string{"bin", "cache/ecr-refresh"} {
		if err := os.MkdirAll(filepath.Join(d.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var name string
	bodies := map[string]string{}
	for line := range strings.Lines(commands) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); !strings.HasPrefix(line, " ") {
			name, line = word, strings.TrimPrefix(line, word)
		}
		bodies[name] += line
	}
	for name, body := range bodies {
		if name != "" {
			asked := `echo "` + name + ` $*" >>"$dir/asked"`
			d.write(t, "bin/"+name, "#!/bin/bash\ndir="+d.dir+"\n"+body+"\n"+asked+"\n", 0o700)
		}
	}
	return d
}

func (d debian) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (d debian) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(d.dir, name))
	return string(text)
}

// bash runs a script of this folder, and returns what it says.
func (d debian) bash(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Env = []string{"PATH=" + d.dir + "/bin:" + os.Getenv("PATH"), "HOME=" + d.dir,
		"XDG_CACHE_HOME=" + d.dir + "/cache", "policy=" + d.dir + "/policy-rc.d"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// No service of a package that is installed starts at boot, and the packages that are new are remembered.
func TestInstall(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	d.bash(t, `. ./packages.sh; install_packages apt.log three`)
	for _, want := range []string{"install --yes --no-install-recommends three\n", "update-rc.d three disable\n",
		"systemctl --quiet disable three.service three.socket\n"} {
		if asked := d.read("asked"); !strings.Contains(asked, want) {
			t.Errorf("no %q in %s", want, asked)
		}
	}
	if list := d.read("cache/ecr-refresh/packages"); list != "four\nthree\n" {
		t.Errorf("the list has %q", list)
	}
	if _, err := os.Stat(d.dir + "/policy-rc.d"); err == nil {
		t.Error("policy-rc.d is left")
	}
}

// purge.sh removes what was installed, and no package that was there before or that another one needs.
func TestPurge(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, list, needs, says, asks string }{
		{"all", "three\nfour\ngone\n", "", "removed the Debian packages four three", "remove --yes four three\n"},
		{"needed", "three\nfour\n", "one", "kept, since one would go, too: four three", ""},
		{"not listed", "", "", "no Debian package is listed", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDebian(t)
			d.write(t, "have", "one\ntwo\nthree\nfour\n", 0o600)
			d.write(t, "needs", row.needs, 0o600)
			d.write(t, "cache/ecr-refresh/packages", row.list, 0o600)
			d.write(t, "cache/other", "", 0o600)
			said := d.bash(t, "./purge.sh")
			asked := d.read("asked")
			unasked := row.asks == "" && asked != ""
			if !strings.Contains(said, row.says) || !strings.HasSuffix(asked, row.asks) || unasked {
				t.Errorf("it said %q, and asked for %q", said, asked)
			}
			left, _ := filepath.Glob(d.dir + "/cache/*")
			if len(left) != 1 || filepath.Base(left[0]) != "other" {
				t.Errorf("left is %v", left)
			}
			if again := d.bash(t, "./purge.sh"); !strings.Contains(again, "nothing to remove") {
				t.Errorf("again: %q", again)
			}
		})
	}
}
