package faults

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// measure runs a command without its stdout, and prints the most memory that it took, which a child of Go's does not
// show: it begins with that of its parent.
const measure = `
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10)
sys.exit(done.returncode)`

// What a forged result may cost, whatever is in it.
const (
	longest    = 8 << 20 // of a result that is read at all
	resultMost = 64 << 20
	logMost    = 64 << 10
)

// TestForgedResults gives steps 2 and 3 results that somebody made to cost memory, time or room in the log: whoever
// edits XComs can, and who knows the public key can encrypt what decompresses to any length.
func TestForgedResults(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	must(t, err)
	var one struct{ Recipient string }
	must(t, json.Unmarshal(goodFiles["one.json"], &one))
	fill := func(open, item, end string) string {
		n := (longest - len(open) - len(end) - 1) / (len(item) + 1)
		return open + strings.Repeat(item+",", n-1) + item + end
	}
	few := func(n int, open, item, end string) string { return open + strings.Repeat(item+",", n-1) + item + end }
	long := func(open, piece, end string) string {
		return open + strings.Repeat(piece, (longest-len(open)-len(end))/len(piece)) + end
	}
	ids := func(most int, open, item, end string) string {
		var text strings.Builder
		for n := 0; n < most && text.Len() < longest-4000; n++ {
			fmt.Fprintf(&text, item+",", n)
		}
		return open + strings.TrimSuffix(text.String(), ",") + end
	}
	head := `{"version":1,"step":"extract_ecr_token","recipient":"` + one.Recipient + `","sealed":"AAAA",`
	two := `{"version":1,"step":"update_docker_connection",`
	const token = `"registry_url":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com","username":"AWS",` +
		`"issued_at":"2026-11-23T17:55:03Z","expires_at":"2026-11-24T05:55:03Z","fingerprint":"3f1c0a9b27de"`
	const good = `{"connection_id":"c%d",` + token + `,"published":false}`
	blanks, locks := strings.Repeat(" ", 4000), strings.Repeat("a 🔒", 500)
	const failed = `{"connection_id":"c%%d","step":"extract_ecr_token","error":"%s"}`
	sealed := func(open, item string, n int) string {
		return `{"version":1,"step":"extract_ecr_token","recipient":"` + one.Recipient + `","sealed":"` +
			seal(t, one.Recipient, open, item, n) + `","tokens":[{"issued_at":"` +
			time.Now().UTC().Format(time.RFC3339) + `","connections":["docker_default"]}],"failures":[]}`
	}
	for name, text := range map[string]string{
		"update: deep nesting":         long(head+`"tokens":`, "[", ""),
		"update: deep nesting, few":    head + `"more":` + strings.Repeat(`{"":`, 40_000),
		"update: empty tokens":         fill(head+`"tokens":[`, "{}", "]}"),
		"update: empty tokens, few":    few(24_000, head+`"tokens":[`, "{}", "]}"),
		"update: tokens":               ids(1e6, head+`"tokens":[`, `{`+token+`,"connections":["c%d"]}`, "]}"),
		"update: tokens, few":          ids(5_000, head+`"tokens":[`, `{`+token+`,"connections":["c%d"]}`, "]}"),
		"update: tokens twice":         fill(head, `"tokens":[{}]`, "}"),
		"update: tokens twice, few":    few(16_000, head, `"tokens":[{}]`, "}"),
		"update: one id":               fill(head+`"tokens":[{"connections":[`, `"a"`, "]}]}"),
		"update: one id, few":          few(48_000, head+`"tokens":[{"connections":[`, `"a"`, "]}]}"),
		"update: ids":                  ids(1e6, head+`"tokens":[{"connections":[`, `"c%d"`, "]}]}"),
		"update: ids, few":             ids(48_000, head+`"tokens":[{"connections":[`, `"c%d"`, "]}]}"),
		"update: empty failures, few":  few(24_000, head+`"tokens":[],"failures":[`, "{}", "]}"),
		"update: a long recipient":     long(head+`"tokens":[{"connections":["a"]}],"recipient":"`, "age1", `"}`),
		"update: a long seal":          long(head+`"tokens":[{"connections":["a"]}],"sealed":"`, "AAAA", `"}`),
		"update: a long step":          long(`{"version":1,"step":"`, "\\u001b 31m", `"}`),
		"update: a long id":            long(head+`"tokens":[{"connections":["`, "a", `"]}]}`),
		"update: lines":                "{}" + strings.Repeat("\n", longest-3) + "}",
		"update: seal of zeros":        sealed("", strings.Repeat("\x00", 1<<20), 1000),
		"update: seal of empty tokens": sealed("[{}", strings.Repeat(",{}", 1<<18), 1000),
		"update: seal of a long token": sealed(`[{"password":"`, strings.Repeat("a", 1<<20), 1000),
		"update: seal of nesting":      sealed("[", strings.Repeat("[", 1<<20), 1000),
		"test: empty connections":      fill(two+`"connections":[`, "{}", `],"failures":[]}`),
		"test: connections":            ids(1e6, two+`"connections":[`, good, `],"failures":[]}`),
		"test: connections, few":       ids(6_000, two+`"connections":[`, good, `],"failures":[]}`),
		"test: one id, few":            few(6_000, two+`"connections":[`, fmt.Sprintf(good, 1), `],"failures":[]}`),
		"test: empty failures":         fill(two+`"failures":[`, "{}", `]}`),
		"test: empty failures, few":    few(24_000, two+`"failures":[`, "{}", `]}`),
		"test: failures":               ids(12_000, two+`"failures":[`, fmt.Sprintf(failed, "forged"), `]}`),
		"test: a long failure":         long(two+`"failures":[{"connection_id":"a","error":"`, "\\u0001 a", `"}]}`),
		"test: a long id that failed":  long(two+`"failures":[{"connection_id":"`, "🔒", `"}]}`),
		"test: blank ids that failed":  ids(1_500, two+`"failures":[`, `{"connection_id":"`+blanks+`%d"}`, `]}`),
		"test in a shell: connections": ids(6_000, two+`"connections":[`, good, `],"failures":[]}`),
		"test: long failures":          ids(12_000, two+`"failures":[`, fmt.Sprintf(failed, locks), `]}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 0)
			if !strings.Contains(name, "in a shell") { // where step 3 asks for each connection of the result
				s.setenv("ECR_REFRESH_OPERATOR", "bash")
			}
			must(t, os.WriteFile(s.path("forged.json"), []byte(text), 0o600))
			cmd := s.command("update-docker-connection --in forged.json")
			if strings.HasPrefix(name, "test") {
				cmd = s.command("test-docker-connection --in forged.json")
			}
			var out, log bytes.Buffer
			cmd.Path, cmd.Args = python, append([]string{python, "-c", measure}, cmd.Args...)
			cmd.Stdout, cmd.Stderr = &out, &log
			_ = cmd.Run()
			var used int
			_, err := fmt.Sscan(out.String(), &used)
			must(t, err)
			code := cmd.ProcessState.ExitCode()
			if code < 1 || code > 2 || used > resultMost && !race || log.Len() > logMost {
				t.Errorf("exit code %d, %d MiB, a log of %d KiB: %.300s", code, used>>20, log.Len()>>10, &log)
			}
			if took := cmd.ProcessState.UserTime(); took > grace || len(text) > longest {
				t.Errorf("%s of CPU, %d bytes", took, len(text))
			}
			s.wantAlone()
			if s.password() != s.old {
				t.Error("the connection was updated")
			}
		})
	}
}

// seal encrypts, as step 1 does, a text and n times another one.
func seal(t *testing.T, recipient, open, item string, n int) string {
	t.Helper()
	to, err := age.ParseX25519Recipient(recipient)
	must(t, err)
	var box bytes.Buffer
	crypt, err := age.Encrypt(&box, to)
	must(t, err)
	zip, err := gzip.NewWriterLevel(crypt, gzip.BestSpeed)
	must(t, err)
	_, err = io.WriteString(zip, open)
	for i := 0; i < n && err == nil; i++ {
		_, err = io.WriteString(zip, item)
	}
	must(t, err)
	must(t, zip.Close())
	must(t, crypt.Close())
	return base64.StdEncoding.EncodeToString(box.Bytes())
}
