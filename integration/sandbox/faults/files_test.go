package faults

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const writing = extract + " --out one.json --metrics-file m.prom"

// files are result files and private keys that somebody else could have read or changed, and places that take no file.
func files() (all []row) {
	const fill = "mkdir full && mount -t tmpfs -o size=64k,mode=700 tmpfs full && ! head -c 128K /dev/zero >full/filler"
	for _, f := range []struct {
		fault, args string
		error       string // "" succeeds
		shell       string // makes it, in the folder
		check       string // what must hold besides
	}{
		{"result file readable by others", update, "opens it to other users", "chmod 644 one.json", ""},
		{"result file is a link", update, "it is a symbolic link", "mv one.json real && ln -s real one.json", ""},
		{"result file of another user", update, "it belongs to user 65534", "chown 65534:65534 one.json", ""},
		{"result file is a pipe", update, "it is not a regular file", "rm one.json && mkfifo -m 600 one.json", ""},
		{"result file cut", update, "it is not the JSON of a step's result, or is cut", "truncate -s 200 one.json", ""},
		{"result file empty", update, "left no result", "truncate -s 0 one.json", ""},
		{"result file of 16 MiB", update, "longer than", "truncate -s 16M one.json", "rm one.json"},
		{"registry in the result altered", update, "it was altered",
			`sed -i 's|"registry_url":"https://123456789012|"registry_url":"https://210987654321|' one.json`, ""},
		{"expiry in the result altered", update, "it was altered",
			`sed -i 's|"expires_at":"20|"expires_at":"21|' one.json`, ""},
		{"encrypted token altered", update, "decrypt tokens: cut or altered",
			`sed -i -E 's/("sealed":".{600})A/\1B/; t; s/("sealed":".{600})./\1A/' one.json`, ""},
		{"private key readable by others", update, "opens it to other users", "chmod 644 " + identityFile, ""},
		{"private key of another user", update, "it belongs to user 65534", "chown 65534:65534 " + identityFile, ""},
		{"folder of the private key open to others", update, "opens it to other users",
			"chmod 777 state/ecr-refresh", ""},
		{"folder of the private key open to a group", extract, "opens it to other users",
			"chmod 770 state/ecr-refresh", ""},
		{"folder of the private key of another user", update, "it belongs to user 65534",
			"chown 65534:65534 state/ecr-refresh", ""},
		{"targets are a pipe", extract + " --targets pipe", "it is not JSON: line 1, column 1", "mkfifo pipe", ""},
		{"targets have no end", extract + " --targets /dev/zero", "it is longer than 8388608 bytes", "true", ""},
		{"certificates are a pipe", extract + " --ca-file pipe", "it has no PEM certificate", "mkfifo pipe", ""},
		{"certificates have no end", extract + " --ca-file /dev/zero", "it is longer than 8388608", "true", ""},
		{"--metrics-file is a pipe", extract + " --metrics-file m_{step}.prom", "",
			"mkfifo m_extract_ecr_token.prom", "test -p m_extract_ecr_token.prom"},
		{"folder of --out is missing", extract + " --out nowhere/x.json",
			`write "nowhere/x.json": no such file or directory`, "true", ""},
		{"--out is a device", extract + " --out /dev/full", `write "/dev/full": it is not a regular file`, "true", ""},
		{"--out is a link", extract + " --out x.json", "", "echo mine >other && ln -s other x.json",
			`test "$(cat other)" = mine`},
		{"disk is full", extract + " --out full/x.json", `write "full/x.json": no space left on device`, fill,
			`test "$(ls -A full)" = filler`},
		{"disk of the private key is full", extract, "no space left on device",
			fill + " && rm -r state && ln -s full state", ""},
		{"disk of --metrics-file is full", extract + " --metrics-file full/x.prom", "", fill,
			`test "$(ls -A full)" = filler`},
		{"folder is read-only", extract + " --out fixed/x.json", `write "fixed/x.json": read-only file system`,
			"mkdir full && mount -t tmpfs -o ro tmpfs full && ln -s full fixed", ""},
		{"folder of the private key is read-only", extract, "read-only file system",
			"rm -r state && mkdir full && mount -t tmpfs -o ro tmpfs full && ln -s full state", ""},
	} {
		exit := 2
		if f.error == "" {
			exit = 0
		}
		all = append(all, row{peer: "files", fault: f.fault, args: f.args, exit: exit, error: f.error,
			root:   strings.Contains(f.shell, "mount ") || strings.Contains(f.shell, "chown "),
			inject: func(s *setting) { s.shell(f.shell) }, also: func(s *setting) { s.shell(f.check) }})
	}
	fips := func(mode string) func(*setting) { return func(s *setting) { s.setenv("GODEBUG", "fips140="+mode) } }
	const read = "AWS_CONFIG_FILE AWS_CA_BUNDLE AWS_WEB_IDENTITY_TOKEN_FILE SSL_CERT_FILE DOCKER_CERT_PATH"
	for _, name := range strings.Fields(read) {
		args, file := extract, "ca.pem"
		if name == "DOCKER_CERT_PATH" {
			args, file = "test-docker-connection --in two.json", "."
		}
		for _, f := range [][2]string{
			{"is a pipe", "mkfifo ca.pem"}, {"has no end", "ln -s /dev/zero ca.pem"},
			{"is long", "truncate -s 9M ca.pem"},
		} {
			all = append(all, row{peer: "files", fault: name + " " + f[0], args: args, exit: 2,
				error: "it is no regular file of at most 8388608 bytes", inject: func(s *setting) {
					s.shell(f[1])
					s.setenv(name, s.path(file))
				}})
		}
	}
	return append(all, row{peer: "files", fault: "GODEBUG=fips140=on", args: "run", inject: fips("on"),
		also: (*setting).wantNew},
		row{peer: "files", fault: "GODEBUG=fips140=only", args: "run", exit: 2, inject: fips("only"),
			error: "run with GODEBUG=fips140=only: age encrypts results with", advises: "fips140=on",
		}, row{peer: "files", fault: "stdout is full", args: extract, exit: 2,
			error: "no space left on device", inject: func(s *setting) {
				full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
				must(s.t, err)
				s.t.Cleanup(func() { full.Close() })
				s.stdout = full
			}})
}

// withoutEnd are files that nobody writes to: each ends the program some time after --timeout, whoever reads them.
func withoutEnd() (all []row) {
	for _, f := range []struct{ variable, args string }{
		{"HOME=home", extract},
		{"", extract + " --targets open"},
		{"", extract + " --ca-file open"},
		{"", "update-docker-connection --in -"},
	} {
		fault := strings.TrimSpace(f.variable + " has no end: " + f.args)
		all = append(all, row{peer: "files", fault: fault, args: f.args, exit: 1,
			error:   "run ecr-refresh " + strings.Fields(f.args)[0],
			because: noEnd, inject: func(s *setting) {
				name, value, _ := strings.Cut(f.variable, "=")
				s.setenv(cmp.Or(name, "NONE"), s.path(value))
				s.shell("mkdir -p home/.aws && mkfifo open home/.aws/config")
				keepOpen, err := os.OpenFile(s.path("open"), os.O_RDWR, 0)
				must(s.t, err)
				out, in, err := os.Pipe()
				must(s.t, err)
				s.t.Cleanup(func() { keepOpen.Close(); in.Close(); out.Close() })
				s.stdin = out
			}})
	}
	return all
}

// shell runs a script in the row's folder. It may mount a disk at full.
func (s *setting) shell(script string) {
	s.t.Helper()
	if strings.Contains(script, "mount ") {
		s.t.Cleanup(func() { _ = exec.Command("umount", "-l", s.path("full")).Run() })
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Errorf("%s: %v\n%s", script, err, out)
	}
}

// atOnce are runs that meet each other, or that are killed while they write.
func atOnce() []row {
	second := func(fault, command string) row {
		var other *process
		return row{peer: "files", fault: fault + command, args: command + " --out both.json", inject: func(s *setting) {
			s.setenv("XDG_STATE_HOME", s.path("new")) // neither finds a private key
			other = s.start(patience, command+" --out both.json")
		}, also: func(s *setting) {
			if other.wait(); other.exit != 0 {
				s.t.Errorf("the second one: exit code %d: %s", other.exit, other.error)
			}
			s.wantWhole("both.json")
			if command == extract {
				s.good("update-docker-connection --in both.json")
			}
		}}
	}
	return []row{
		{peer: "files", fault: "kill -9 at every write, 80 times: each document is whole, and the next run good",
			args: writing, alone: true, inject: (*setting).killedWhileWriting,
			also: func(s *setting) { s.good(update) }},
		second("two at once: ", "run"),
		second("two at once, neither finds a private key: ", extract),
	}
}

// wantWhole wants a file to be one JSON object and a line's end, for its owner alone, and returns it.
func (s *setting) wantWhole(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	must(s.t, err)
	info, err := os.Stat(s.path(name))
	must(s.t, err)
	if !json.Valid(text) || !bytes.HasSuffix(text, []byte("}\n")) || info.Mode().Perm() != 0o600 {
		s.t.Errorf("%s is torn, or open to others: %d bytes, mode %s", name, len(text), info.Mode())
	}
	return string(text)
}

// killedWhileWriting kills the program again and again, each time a little later after the last answer that it waits
// for. What it wrote before stays whole, and what it leaves does not stop the next one.
func (s *setting) killedWhileWriting() {
	const kills, step = 80, 100 * time.Microsecond
	seen := map[string]bool{s.wantWhole("one.json"): true}
	for k := range kills {
		if k%2 == 0 {
			s.setenv("XDG_STATE_HOME", s.path(fmt.Sprintf("state-%d", k))) // an identity is written too
		}
		asked := len(s.Registry.Checks())
		p := s.start(patience, writing)
		s.await(func() bool { return len(s.Registry.Checks()) > asked })
		time.Sleep(time.Duration(k) * step)
		_ = p.cmd.Process.Kill()
		p.wait()
		seen[s.wantWhole("one.json")] = true
	}
	if replaced := len(seen) - 1; replaced == 0 || replaced == kills {
		s.t.Errorf("%d of %d kills came after the write: none before, or none after", replaced, kills)
	}
}

// clocks are clocks that differ, and what has grown old.
func clocks() []row {
	return []row{
		{peer: "clock", fault: "an hour behind the peers", args: "run", ahead: time.Hour, also: (*setting).wantNew},
		{peer: "clock", fault: "an hour ahead of the peers", args: "run", ahead: -time.Hour, also: (*setting).wantNew},
		{peer: "clock", fault: "result too old", args: update + " --max-age 1ns", exit: 2,
			error: "a newer run may have updated since"},
		{peer: "clock", fault: "token that has expired", args: extract, exit: 1, error: "it answered 403",
			inject: func(s *setting) { s.ECR.SetLife(-time.Hour) }},
		{peer: "clock", fault: "token that expires between the steps", args: update, exit: 1,
			error: "it answered 403", inject: func(s *setting) { s.ECR.ExpireTokens() }},
	}
}
