// Package readme runs the commands of the README and of other pages as they stand there, but for addresses and
// passwords, and compares what they print with what the page shows. The tests of this package run those of the README
// that need only Go, the tests of package docs those of other pages, and package real the others.
package readme

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// waitLimit bounds the wait for a command that is to be repeated.
const waitLimit = 5 * time.Minute

// Block is a fenced block of a page. A comment above it says how it is tested: <!-- test: KIND -->. Those of the README
// are
//
//	demo     in the clone: one command, and all that it prints
//	empty    in the sandbox and on real peers, in a shell that has nothing but a worker's environment, on an Airflow
//	         that is as it was installed
//	deployed in the shell of those, behind them, on real peers: TestRealReadmeDeploy in package real
//	sandbox  in the sandbox, where the DAG has run once
//	lab      in the clone, one block after another, with real peers: TestRealReadme in package real
//	fab      with the command line of a real Airflow that runs FAB: TestReal in package real
type Block struct {
	Page                 string // the name of its file
	Line                 int    // of the fence
	Kind, Language, Text string
}

// String returns where a block stands.
func (b Block) String() string { return fmt.Sprintf("%s:%d", b.Page, b.Line) }

// Read returns all blocks of a page whose language is named. One without a comment fails the test, unless it is JSON.
func Read(t *testing.T, path string) (blocks []Block) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	fence := regexp.MustCompile("(?m)^( *)(?:<!-- test: (\\w+) -->\n *)?```(\\w+)\n((?s:.*?))^ *```$")
	for _, m := range fence.FindAllSubmatchIndex(text, -1) {
		b := Block{Page: filepath.Base(path), Line: strings.Count(string(text[:m[8]]), "\n")}
		b.Language = string(text[m[6]:m[7]])
		b.Text = strings.ReplaceAll("\n"+string(text[m[8]:m[9]]), "\n"+string(text[m[2]:m[3]]), "\n")
		if m[4] >= 0 {
			b.Kind = string(text[m[4]:m[5]])
		} else if b.Language != "json" {
			t.Errorf("%s: no comment names the kind of this block", b)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// CleanEnviron returns the environment of this process without what a make around it sets for those below it.
func CleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "MAKE") || strings.HasPrefix(entry, "MFLAGS=")
	})
}

// Script returns a Bash script whose first failing command ends it.
func Script(text, dir string, env []string) *exec.Cmd {
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", text)
	cmd.Dir, cmd.Env = dir, env
	return cmd
}

// Session runs a block's commands, with pairs of what stands in the page and what replaces it.
func (b Block) Session(t *testing.T, dir string, env []string, replacements ...string) {
	t.Helper()
	replace := strings.NewReplacer(replacements...).Replace
	before := "" // what earlier commands exported or read in
	for _, c := range b.commands() {
		if strings.HasPrefix(c.text, "export ") || strings.HasPrefix(c.text, ". ") {
			before += replace(c.text) + "\n"
			continue
		}
		if err := c.run(before+replace(c.text), dir, env); err != nil {
			t.Errorf("%s:%d: %s\n%v", b.Page, c.line, c.text, err)
			return // those below need this one
		}
	}
}

// Paste runs the lines of blocks as they are pasted into one shell, which has env alone, and returns what it prints. A
// line whose comment says "again, when the run has ended" is pasted until it succeeds and a run has ended.
func Paste(blocks []Block, dir string, env []string, replacements ...string) (string, error) {
	var text strings.Builder
	for _, b := range blocks {
		for line := range strings.Lines(strings.NewReplacer(replacements...).Replace(b.Text)) {
			if command, _, again := strings.Cut(line, "# again"); again {
				const ended = "| tee /dev/stderr | { ! grep 'no run has ended' >/dev/null; }"
				line = "until " + command + ended + "; do sleep 1; done\n"
			}
			text.WriteString(line)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", "-euo", "pipefail")
	shell.Stdin, shell.Dir, shell.Env = strings.NewReader(text.String()), dir, env
	shell.WaitDelay = time.Second
	out, err := shell.CombinedOutput()
	return string(out), err
}

// shown is one command, and what the page shows below it.
type shown struct {
	text, output string
	line         int
}

// commands splits a block at its prompts. One without prompts is a script, whose output the page does not show.
func (b Block) commands() (all []shown) {
	prompts := -1
	if b.Kind == "demo" {
		prompts = 2 // it prints prompts of its own
	}
	parts := strings.SplitN(b.Text, "\n$ ", prompts)
	if len(parts) == 1 {
		return []shown{{b.Text, "…", b.Line}}
	}
	line := b.Line + 1
	for _, part := range parts[1:] {
		text, output, _ := strings.Cut(part, "\n")
		all = append(all, shown{text, output, line})
		line += 1 + strings.Count(part, "\n")
	}
	return all
}

// run fails unless the script ends well and prints what is shown. A command whose comment says "again" waits for that.
func (c shown) run(text, dir string, env []string) error {
	deadline := time.After(waitLimit)
	for tick := time.Tick(time.Second); ; {
		out, err := Script(text, dir, env).CombinedOutput()
		if err == nil {
			err = c.compare(string(out))
		}
		if err == nil || !strings.Contains(c.text, "# again") {
			return withOutput(err, out)
		}
		select {
		case <-deadline:
			return withOutput(err, out)
		case <-tick:
		}
	}
}

func withOutput(err error, out []byte) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; it printed:\n%s", err, out)
}

// compare holds an output to the one shown. "…" stands for anything: alone on a line, for any number of lines.
func (c shown) compare(out string) error {
	pattern := regexp.QuoteMeta("\n" + shape(c.output))
	pattern = strings.ReplaceAll(pattern, "\n…", "(?:\n.*)*")
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	if !regexp.MustCompile(`^` + pattern + `$`).MatchString("\n" + shape(out)) {
		return fmt.Errorf("the page shows something else")
	}
	return nil
}

// shape replaces what differs from run to run: one of a kind is as good as another.
func shape(text string) string {
	for _, kind := range []struct{ pattern, name string }{
		{`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "TIME"},
		{`\b127\.0\.0\.1:\d+`, "ADDRESS"},
		{`\b(\d+h)?(\d+m)?\d+(\.\d+)?s\b`, "DURATION"},
		{`\b\d+\.\d+(\.\d+)?([+~]\w+)?\b`, "VERSION"},
		{`\b[A-Z2-7]{26}\b`, "PASSWORD"},
		{`\bage1\w+`, "RECIPIENT"},
		{` +`, " "},
	} {
		text = regexp.MustCompile(kind.pattern).ReplaceAllString(text, kind.name)
	}
	return strings.TrimSpace(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
