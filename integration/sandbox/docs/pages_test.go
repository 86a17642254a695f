// Package docs holds the tests of the documents: links, names and command lines of all of them, and each block of the
// pages on deployment and operation. What needs real services is tested in package real.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/integration/sandbox/suite"
)

const root = "../../.."

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// pages returns the text of all documents by their paths.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		for _, path := range must[[]string](t)(filepath.Glob(filepath.Join(root, pattern))) {
			all[path] = string(must[[]byte](t)(os.ReadFile(path)))
		}
	}
	return all
}

// TestLinks follows each link to a file, and to a heading of it.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]*)\)`)
	for path, text := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			file, heading, _ := strings.Cut(found[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			linked, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr == nil && info.IsDir() {
				err = nil
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if heading != "" && !slices.Contains(anchors(string(linked)), heading) {
				t.Errorf("%s: %s has no heading %q", path, target, heading)
			}
		}
	}
}

// anchors returns what GitHub makes of headings: lower case, no punctuation, hyphens for blanks.
func anchors(text string) (all []string) {
	dropped := regexp.MustCompile(`[^\w\- ]`)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := dropped.ReplaceAllString(strings.ToLower(heading[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestPlatforms: the list of platforms has each page, and each page begins with whether it fits.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	all := pages(t)
	list := all[filepath.Join(root, "docs/deploy/README.md")]
	for path, text := range all {
		name := filepath.Base(path)
		if filepath.Base(filepath.Dir(path)) != "deploy" || name == "README.md" {
			continue
		}
		if !strings.Contains(list, "]("+name+")") {
			t.Errorf("docs/deploy/README.md does not name %s", name)
		}
		if !regexp.MustCompile(`^# .*\n\n\*\*(Fits|Does not fit)\*\*`).MatchString(text) {
			t.Errorf("%s does not begin with whether the platform fits", name)
		}
	}
}

// program is ecr-refresh, as it describes itself.
type program struct{ help map[string]string } // by command; "" is the program's own

func describe(t *testing.T) program {
	t.Helper()
	bin := must[string](t)(suite.Build(t.TempDir()))
	p := program{map[string]string{}}
	p.ask(t, bin)
	return p
}

// ask reads the help of a command, and that of its subcommands.
func (p program) ask(t *testing.T, bin string, command ...string) {
	t.Helper()
	text := must[[]byte](t)(exec.Command(bin, append(command, "--help")...).Output())
	p.help[strings.Join(command, " ")] = string(text)
	_, list, _ := strings.Cut(string(text), "\nCOMMANDS:\n")
	list, _, _ = strings.Cut(list, "OPTIONS:\n")
	for _, found := range regexp.MustCompile(`(?m)^ +([a-z][a-z-]+)  +\S`).FindAllStringSubmatch(list, -1) {
		p.ask(t, bin, append(slices.Clone(command), found[1])...)
	}
}

// misread returns what is wrong with a command line, or "".
func (p program) misread(line string) string {
	words, command := strings.Fields(line), ""
	for len(words) > 0 && p.help[strings.TrimSpace(command+" "+words[0])] != "" {
		command, words = strings.TrimSpace(command+" "+words[0]), words[1:]
	}
	if len(words) > 0 && command == "" && regexp.MustCompile(`^[a-z]`).MatchString(words[0]) {
		return "no command " + words[0]
	}
	for _, word := range words {
		flag := regexp.MustCompile(`^--[a-z-]+`).FindString(word)
		if flag != "" && !strings.Contains(p.help[command]+p.help[""], flag) {
			return "no flag " + flag + " of " + command
		}
	}
	return ""
}

// TestCommandLines: each command and flag of ecr-refresh that a document has exists.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	p := describe(t)
	// to the end of its line, of its code or of its command; neither paths nor the names of things
	line := regexp.MustCompile("(?m)(?:^|[ `(])(?:/usr/bin/)?ecr-refresh ((?:[^`\n|;&>#)\\\\]|\\\\\n)+)")
	code := regexp.MustCompile("(?s)```\\w+\n.*?```|`[^`\n]+`")
	for path, text := range pages(t) {
		for _, block := range code.FindAllString(text, -1) {
			for _, found := range line.FindAllStringSubmatch(block, -1) {
				if why := p.misread(strings.ReplaceAll(found[1], "\\\n", " ")); why != "" {
					t.Errorf("%s: ecr-refresh %s: %s", path, found[1], why)
				}
			}
		}
	}
}

// TestVariables: each variable of ecr-refresh that a document names exists.
func TestVariables(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\b(?:ECR_REFRESH|AIRFLOW_VAR|AIRFLOW_CONN)_[A-Z_]*[A-Z](?:_?\{[A-Z_,]+\})?`)
	known := map[string]bool{}
	for _, text := range append(must[[]string](t)(sources()), values(describe(t).help)...) {
		for _, found := range name.FindAllString(text, -1) {
			for _, one := range expand(found) {
				known[one] = true
			}
		}
	}
	for path, text := range pages(t) {
		for _, found := range name.FindAllString(text, -1) {
			for _, one := range expand(found) {
				if !known[one] {
					t.Errorf("%s: no variable %s", path, one)
				}
			}
		}
	}
}

// sources returns the texts with names that no help shows: the DAG's, and those of a task.
func sources() (texts []string, err error) {
	for _, path := range []string{"dags/refresh_docker_token.py", "cmd/ecr-refresh/names/names.go"} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}

func values(m map[string]string) (all []string) {
	for _, value := range m {
		all = append(all, value)
	}
	return all
}

// expand returns the names that A_{B,C} stands for.
func expand(name string) (all []string) {
	prefix, list, braced := strings.Cut(strings.TrimSuffix(name, "}"), "{")
	if !braced {
		return []string{name}
	}
	for suffix := range strings.SplitSeq(list, ",") {
		all = append(all, prefix+suffix)
	}
	return all
}
