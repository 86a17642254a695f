package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// documents are result files and private keys that somebody else could have read or changed.
func documents() (all []row) {
	add := func(fault, message string, change func(path string) error) {
		all = append(all, row{peer: "files", fault: fault, exit: 2, error: message,
			root: strings.HasSuffix(fault, "of another user"), inject: func(s *setting) {
				s.extracted()
				must(s.t, change(s.path("one.json")))
			}})
	}
	identity := func(change func(string) error) func(string) error {
		return func(path string) error { return change(filepath.Dir(path) + "/state/ecr-refresh/identity") }
	}
	chmod := func(path string) error { return os.Chmod(path, 0o644) }
	chown := func(path string) error { return os.Chown(path, 65534, 65534) }
	add("result file readable by others", "opens it to other users", chmod)
	add("result file is a link", "it is a symbolic link", link)
	add("result file of another user", "it belongs to user 65534", chown)
	add("result file is a pipe", "it is not a regular file", pipe)
	add("result file cut", "it is not a JSON object, or is cut", func(p string) error { return os.Truncate(p, 200) })
	add("result file empty", "left no result", func(p string) error { return os.Truncate(p, 0) })
	add("result file of 16 MiB", "longer than", func(p string) error { return os.Truncate(p, 16<<20) })
	add("registry in the result altered", "it was altered",
		edit(`"registry_url":"https://123456789012`, `"registry_url":"https://210987654321`))
	add("expiry in the result altered", "it was altered", edit(`"expires_at":"20`, `"expires_at":"21`))
	add("encrypted token altered", "decrypt tokens: cut or altered", flip)
	add("private key readable by others", "opens it to other users", identity(chmod))
	add("private key of another user", "it belongs to user 65534", identity(chown))
	return all
}

func link(path string) error {
	return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
}

func pipe(path string) error {
	return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600))
}

func edit(old, new string) func(string) error {
	return func(path string) error {
		text, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(text), old) {
			err = fmt.Errorf("no %q in it", old)
		}
		return errors.Join(err, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600))
	}
}

// flip changes one character in the middle of the encrypted token.
func flip(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at := strings.Index(string(text), `"sealed":"`) + 600
	if text[at] == 'A' {
		text[at] = 'B'
	} else {
		text[at] = 'A'
	}
	return os.WriteFile(path, text, 0o600)
}

// disks are places that take no file.
func disks() (all []row) {
	add := func(fault string, exit int, message string, inject, also func(*setting)) {
		all = append(all, row{peer: "files", fault: fault, exit: exit, error: message, inject: inject, also: also,
			root: onDisk(fault)})
	}
	args := func(s *setting, args ...string) { s.args = append([]string{"extract-ecr-token"}, args...) }
	add("folder of --out is missing", 2, `write "nowhere/x.json": no such file or directory`,
		func(s *setting) { args(s, "--out", "nowhere/x.json") }, nil)
	add("--out is a device", 2, `write "/dev/full": it is not a regular file`,
		func(s *setting) { args(s, "--out", "/dev/full") }, nil)
	add("--out is a link", 0, "", func(s *setting) {
		must(s.t, os.WriteFile(s.path("other"), []byte("mine"), 0o600))
		must(s.t, os.Symlink("other", s.path("x.json")))
		args(s, "--out", "x.json")
	}, func(s *setting) {
		if text, err := os.ReadFile(s.path("other")); err != nil || string(text) != "mine" {
			s.t.Errorf("the link was followed: %v", err)
		}
	})
	add("disk is full", 2, `write "full/x.json": no space left on device`,
		func(s *setting) { s.full(); args(s, "--out", "full/x.json") }, (*setting).wantOnlyFiller)
	add("disk of the private key is full", 2, "no space left on device",
		func(s *setting) { s.setenv("XDG_STATE_HOME", s.full()); args(s) }, nil)
	add("disk of --metrics-file is full", 0, "",
		func(s *setting) { s.full(); args(s, "--metrics-file", "full/x.prom") }, (*setting).wantOnlyFiller)
	add("stdout is full", 2, "no space left on device", func(s *setting) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		must(s.t, err)
		s.t.Cleanup(func() { full.Close() })
		s.stdout = full
	}, nil)
	add("folder is read-only", 2, `write "fixed/x.json": read-only file system`,
		func(s *setting) { s.mount("fixed", "ro"); args(s, "--out", "fixed/x.json") }, nil)
	add("folder of the private key is read-only", 2, "read-only file system",
		func(s *setting) { s.setenv("XDG_STATE_HOME", s.mount("fixed", "ro")); args(s) }, nil)
	return all
}

// onDisk reports whether a fault needs a disk of its own.
func onDisk(fault string) bool {
	return strings.HasPrefix(fault, "disk ") || strings.HasSuffix(fault, "is read-only")
}

// mount puts a small disk in memory at a folder.
func (s *setting) mount(name, options string) string {
	dir := s.path(name)
	must(s.t, os.Mkdir(dir, 0o700))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		s.t.Fatalf("mount a tmpfs, which root may: %s", out)
	}
	s.t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

// full mounts a disk that has room for names and none for content.
func (s *setting) full() string {
	dir := s.mount("full", "size=64k,mode=700")
	if err := os.WriteFile(dir+"/filler", make([]byte, 128<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		s.t.Fatalf("the disk is not full: %v", err)
	}
	return dir
}

func (s *setting) wantOnlyFiller() {
	if left, err := os.ReadDir(s.path("full")); err != nil || len(left) != 1 {
		s.t.Errorf("left on the full disk: %v, %v", left, err)
	}
}

// atOnce are runs that meet each other, or that are killed while they write.
func atOnce() []row {
	second := func(args ...string) row {
		return row{peer: "files", fault: "two at once: " + args[0], inject: func(s *setting) {
			s.args = args
			s.second = s.start(args...)
		}, also: func(s *setting) {
			if o := s.second.wait(); o.exit != 0 {
				s.t.Errorf("the second one: exit code %d: %s", o.exit, o.error)
			}
			s.wantWhole(args[2])
		}}
	}
	extract := second("extract-ecr-token", "--out", "both.json")
	extract.fault = "two at once, neither finds a private key: extract-ecr-token"
	both := extract.also
	extract.also = func(s *setting) { both(s); s.good("update-docker-connection", "--in", "both.json") }
	return []row{second("run", "--out", "both.json"), extract,
		{peer: "files", fault: "kill -9 at every write", inject: func(*setting) {}, by: (*setting).killedWhileWriting}}
}

// wantWhole wants a file to be one JSON object and a line's end, for its owner alone.
func (s *setting) wantWhole(name string) {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	must(s.t, err)
	info, err := os.Stat(s.path(name))
	must(s.t, err)
	if !json.Valid(text) || !bytes.HasSuffix(text, []byte("}\n")) || info.Mode().Perm() != 0o600 {
		s.t.Errorf("%s is torn, or open to others: %d bytes, mode %s", name, len(text), info.Mode())
	}
}

// killedWhileWriting kills the program again and again, each time a little later after the last answer that it waits
// for. What it wrote before stays whole, and what it leaves does not stop the next one.
func (s *setting) killedWhileWriting() outcome {
	const kills, step = 80, 100 * time.Microsecond
	s.good("extract-ecr-token", "--out", "one.json")
	old, err := os.ReadFile(s.path("one.json"))
	must(s.t, err)
	replaced := 0
	for k := range kills {
		if k%2 == 0 {
			s.setenv("XDG_STATE_HOME", s.path(fmt.Sprintf("state-%d", k))) // an identity is written too
		}
		asked := len(s.Registry.Checks())
		p := s.start("extract-ecr-token", "--out", "one.json", "--metrics-file", "m.prom")
		for len(s.Registry.Checks()) == asked && time.Since(p.began) < grace {
			time.Sleep(step)
		}
		time.Sleep(time.Duration(k) * step)
		_ = p.cmd.Process.Kill()
		p.wait()
		s.wantWhole("one.json")
		if text, _ := os.ReadFile(s.path("one.json")); !bytes.Equal(text, old) {
			replaced, old = replaced+1, text
		}
	}
	left, _ := filepath.Glob(s.path(".ecr-refresh-*"))
	if replaced == 0 || replaced == kills {
		s.t.Errorf("%d of %d kills came after the write: none before, or none after", replaced, kills)
	}
	s.good("extract-ecr-token", "--out", "one.json", "--metrics-file", "m.prom")
	s.good("update-docker-connection", "--in", "one.json")
	s.wantAlone()
	s.wantNoSecret()
	s.t.Logf("%d kills: %d before the new result was in place, %d after; %d temporary files are left", kills,
		kills-replaced, replaced,
		len(left))
	return outcome{exit: 137, error: fmt.Sprintf("%d kills, some before and some after the new document stood: it was "+
		"whole each time, and the next run good", kills)}
}

// clocks are clocks that differ, and what has grown old.
func clocks() (all []row) {
	for fault, ahead := range map[string]time.Duration{
		"an hour behind the peers": time.Hour, "an hour ahead of the peers": -time.Hour,
	} {
		all = append(all, row{peer: "clock", fault: fault, ahead: ahead,
			inject: func(s *setting) { s.args = []string{"run"} },
			also: func(s *setting) {
				if s.password() != s.ECR.LastToken().Password {
					s.t.Error("nothing was published")
				}
			}})
	}
	return append(all,
		row{peer: "clock", fault: "result too old", exit: 2, error: "a newer run may have updated since",
			inject: func(s *setting) {
				s.extracted()
				s.args = append(s.args, "--max-age", "1ns")
			}},
		row{peer: "clock", fault: "token that has expired", exit: 1, error: "it answered 403",
			inject: func(s *setting) { s.ECR.SetLife(-time.Hour) }},
		row{peer: "clock", fault: "token that expires between the steps", exit: 1, error: "it answered 403",
			inject: func(s *setting) {
				s.extracted()
				s.ECR.ExpireTokens()
			}})
}
