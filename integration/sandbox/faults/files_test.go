package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// documents are result files and private keys that somebody else could have read or changed.
func documents() (all []row) {
	chmod := func(path string) error { return os.Chmod(path, 0o644) }
	chown := func(path string) error { return os.Chown(path, 65534, 65534) }
	cut := func(size int64) func(string) error {
		return func(path string) error { return os.Truncate(path, size) }
	}
	for _, d := range []struct {
		fault, error, file string
		change             func(path string) error
	}{
		{"result file readable by others", "opens it to other users", "one.json", chmod},
		{"result file is a link", "it is a symbolic link", "one.json", link},
		{"result file of another user", "it belongs to user 65534", "one.json", chown},
		{"result file is a pipe", "it is not a regular file", "one.json", pipe},
		{"result file cut", "it is not a JSON object, or is cut", "one.json", cut(200)},
		{"result file empty", "left no result", "one.json", cut(0)},
		{"result file of 16 MiB", "longer than", "one.json", cut(16 << 20)},
		{"registry in the result altered", "it was altered", "one.json",
			edit(`"registry_url":"https://123456789012`, `"registry_url":"https://210987654321`)},
		{"expiry in the result altered", "it was altered", "one.json", edit(`"expires_at":"20`, `"expires_at":"21`)},
		{"encrypted token altered", "decrypt tokens: cut or altered", "one.json", flip},
		{"private key readable by others", "opens it to other users", identityFile, chmod},
		{"private key of another user", "it belongs to user 65534", identityFile, chown},
	} {
		all = append(all, row{peer: "files", fault: d.fault, args: stepOf("airflow"), exit: 2, error: d.error,
			root:   strings.HasSuffix(d.fault, "of another user"),
			inject: func(s *setting) { must(s.t, d.change(s.path(d.file))) }})
	}
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
	at := bytes.Index(text, []byte(`"sealed":"`)) + 600
	text[at] = map[bool]byte{true: 'B', false: 'A'}[text[at] == 'A']
	return os.WriteFile(path, text, 0o600)
}

// disks are places that take no file.
func disks() (all []row) {
	full := func(s *setting) { s.full() }
	for _, d := range []struct {
		fault, error string
		more         []string // arguments
		inject, also func(*setting)
	}{
		{"folder of --out is missing", `write "nowhere/x.json": no such file or directory`,
			[]string{"--out", "nowhere/x.json"}, func(*setting) {}, nil},
		{"--out is a device", `write "/dev/full": it is not a regular file`,
			[]string{"--out", "/dev/full"}, func(*setting) {}, nil},
		{"--out is a link", "", []string{"--out", "x.json"},
			func(s *setting) { must(s.t, os.Symlink("two.json", s.path("x.json"))) },
			func(s *setting) {
				if text, err := os.ReadFile(s.path("two.json")); !bytes.Equal(text, results.files["two.json"]) {
					s.t.Errorf("the link was followed: %v", err)
				}
			}},
		{"disk is full", `write "full/x.json": no space left on device`, []string{"--out", "full/x.json"}, full,
			(*setting).wantOnlyFiller},
		{"disk of the private key is full", "no space left on device", nil,
			func(s *setting) { s.setenv("XDG_STATE_HOME", s.full()) }, nil},
		{"disk of --metrics-file is full", "", []string{"--metrics-file", "full/x.prom"}, full,
			(*setting).wantOnlyFiller},
		{"stdout is full", "no space left on device", nil, func(s *setting) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			must(s.t, err)
			s.t.Cleanup(func() { full.Close() })
			s.stdout = full
		}, nil},
		{"folder is read-only", `write "fixed/x.json": read-only file system`, []string{"--out", "fixed/x.json"},
			func(s *setting) { s.mount("fixed", "ro") }, nil},
		{"folder of the private key is read-only", "read-only file system", nil,
			func(s *setting) { s.setenv("XDG_STATE_HOME", s.mount("fixed", "ro")) }, nil},
	} {
		exit := 2
		if d.error == "" {
			exit = 0
		}
		all = append(all, row{peer: "files", fault: d.fault, args: append([]string{"extract-ecr-token"}, d.more...),
			exit: exit, error: d.error, inject: d.inject, also: d.also,
			root: strings.HasPrefix(d.fault, "disk ") || strings.HasSuffix(d.fault, "is read-only")})
	}
	return all
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
	second := func(fault string, args ...string) row {
		var other *process
		return row{peer: "files", fault: fault + args[0], args: args, inject: func(s *setting) {
			s.setenv("XDG_STATE_HOME", s.path("new")) // neither finds a private key
			other = s.start(patience, args...)
		}, also: func(s *setting) {
			if o := other.wait(); o.exit != 0 {
				s.t.Errorf("the second one: exit code %d: %s", o.exit, o.error)
			}
			s.wantWhole(args[2])
			if args[0] == "extract-ecr-token" {
				s.good("update-docker-connection", "--in", args[2])
			}
		}}
	}
	return []row{
		{peer: "files", fault: "kill -9 at every write", inject: func(*setting) {}, by: (*setting).killedWhileWriting},
		second("two at once: ", "run", "--out", "both.json"),
		second("two at once, neither finds a private key: ", "extract-ecr-token", "--out", "both.json"),
	}
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
	extract := []string{"extract-ecr-token", "--out", "one.json", "--metrics-file", "m.prom"}
	old, replaced := results.files["one.json"], 0
	for k := range kills {
		if k%2 == 0 {
			s.setenv("XDG_STATE_HOME", s.path(fmt.Sprintf("state-%d", k))) // an identity is written too
		}
		asked := len(s.Registry.Checks())
		p := s.start(patience, extract...)
		s.await(func() bool { return len(s.Registry.Checks()) > asked })
		time.Sleep(time.Duration(k) * step)
		_ = p.cmd.Process.Kill()
		p.wait()
		s.wantWhole("one.json")
		if text, _ := os.ReadFile(s.path("one.json")); !bytes.Equal(text, old) {
			replaced, old = replaced+1, text
		}
	}
	if replaced == 0 || replaced == kills {
		s.t.Errorf("%d of %d kills came after the write: none before, or none after", replaced, kills)
	}
	s.good(extract...)
	s.good("update-docker-connection", "--in", "one.json")
	s.wantAlone()
	s.wantNoSecret()
	return outcome{exit: 137, error: fmt.Sprintf("%d kills, some before and some after the new document stood: it was "+
		"whole each time, and the next run good", kills)}
}

// clocks are clocks that differ, and what has grown old.
func clocks() []row {
	return []row{
		{peer: "clock", fault: "an hour behind the peers", args: []string{"run"}, ahead: time.Hour,
			inject: func(*setting) {}, also: (*setting).wantPublished},
		{peer: "clock", fault: "an hour ahead of the peers", args: []string{"run"}, ahead: -time.Hour,
			inject: func(*setting) {}, also: (*setting).wantPublished},
		{peer: "clock", fault: "result too old", args: append(stepOf("airflow"), "--max-age", "1ns"), exit: 2,
			error: "a newer run may have updated since", inject: func(*setting) {}},
		{peer: "clock", fault: "token that has expired", exit: 1, error: "it answered 403",
			inject: func(s *setting) { s.ECR.SetLife(-time.Hour) }},
		{peer: "clock", fault: "token that expires between the steps", args: stepOf("airflow"), exit: 1,
			error: "it answered 403", inject: func(s *setting) { s.ECR.ExpireTokens() }},
	}
}
