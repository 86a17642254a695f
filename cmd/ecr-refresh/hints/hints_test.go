package hints

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/failure"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// kinds returns all kinds of failure that the program can meet, by their names in Go.
func kinds(t *testing.T) map[string]failure.Kind {
	t.Helper()
	kind := regexp.MustCompile(`(?m)^(?:const )?\s*(\w+)\s+(?:failure\.)?Kind\s+= "(.+?)"`)
	all := map[string]failure.Kind{}
	for _, folder := range []string{"steps", "airflowclient", "cmd/ecr-refresh"} {
		err := filepath.WalkDir("../../../"+folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, m := range kind.FindAllStringSubmatch(read(t, path), -1) {
				all[filepath.Base(filepath.Dir(path))+"."+m[1]] = failure.Kind(m[2])
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	return all
}

// Every kind of failure has a hint, and one entry in docs/troubleshooting.md.
func TestEveryKindHasAHint(t *testing.T) {
	t.Parallel()
	all, explained := kinds(t), map[string]bool{}
	for _, e := range entries(t) {
		for name := range strings.FieldsSeq(e[1]) {
			if all[name] == "" || explained[name] {
				t.Errorf("%s has a second entry in %s, or is no kind", name, troubleshooting)
			}
			explained[name] = true
		}
	}
	for name, kind := range all {
		if hints()[kind] == "" || !explained[name] {
			t.Errorf("%s has hint %q, an entry in %s: %v", name, hints()[kind], troubleshooting, explained[name])
		}
	}
	if len(all) != len(hints()) {
		t.Errorf("%d kinds and %d hints", len(all), len(hints()))
	}
}

const troubleshooting = "../../../docs/troubleshooting.md"

// entries returns those of troubleshooting that are about kinds: [1] has the names of the kinds, from a comment, and
// [2] lines of the program, each in a code span.
func entries(t *testing.T) [][]string {
	t.Helper()
	entry := regexp.MustCompile("(?m)^<!-- ([A-Za-z. ]+) -->\n((?:[- ] `.+`\\\\?\n)+)\n")
	return entry.FindAllStringSubmatch(read(t, troubleshooting), -1)
}

// printed returns what the program prints in each of many failures, as a task and in a shell.
func printed(t *testing.T) (all string) {
	t.Helper()
	for _, step := range []string{"extract", "update", "test", "shell"} {
		all += read(t, "../testdata/failures_"+step+".txtar")
	}
	return all
}

// In a task nobody can give a flag of ours, ask for help, or look at the repository's files. Each failure has a hint.
func TestFailuresOfTasks(t *testing.T) {
	t.Parallel()
	shell := regexp.MustCompile(`(^|[ (])--[a-z]|schema\.json|AIRFLOW_VAR_`)
	failed, lines := 0, strings.Split(printed(t), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "task ") {
			continue
		}
		if shell.MatchString(line) && !strings.Contains(line, "create it: airflow connections add") {
			t.Errorf("not for a task: %s", line)
		}
		if strings.HasPrefix(line, "task  error: ") {
			if failed++; !strings.HasPrefix(lines[i+1], "task  hint: ") {
				t.Errorf("no hint: %s", line)
			}
		}
	}
	if failed < 60 {
		t.Errorf("%d failures", failed)
	}
}

// What docs/troubleshooting.md quotes, the program printed in a script, and with a hint of one of the entry's kinds.
func TestTroubleshootingQuotesTheProgram(t *testing.T) {
	t.Parallel()
	seen, all := printed(t), kinds(t)
	fact := regexp.MustCompile(`\\\{\w+\\\}`)
	for _, e := range entries(t) {
		var hint []string // patterns
		for name := range strings.FieldsSeq(e[1]) {
			for _, operator := range []string{"bash", ""} {
				text := regexp.QuoteMeta(translate(hints()[all[name]], operator))
				hint = append(hint, fact.ReplaceAllLiteralString(text, ".+"))
			}
		}
		for _, quote := range regexp.MustCompile("`(.+)`").FindAllStringSubmatch(e[2], -1) {
			line := `(?m)(?:error|warning): .*` + regexp.QuoteMeta(quote[1]) + `.*\n\w+ +hint: (?:` +
				strings.Join(hint, "|") + `)$`
			if !regexp.MustCompile(line).MatchString(seen) {
				t.Errorf("no script saw %q with a hint of %s", quote[1], e[1])
			}
		}
	}
}

// Only FAB has Airflow's commands for rights.
func TestAuthManagers(t *testing.T) {
	t.Parallel()
	for kind, want := range map[failure.Kind]string{
		airflowclient.ForbiddenByFAB:    "airflow roles add-perms ROLE -r 'Connections' -a can_edit",
		airflowclient.ForbiddenBySimple: "the role op",
		airflowclient.Forbidden:         "grant it where this Airflow's auth manager keeps rights",
	} {
		got := Of(failure.Permanent(kind, "").About("Connections").Want("can_edit"))
		ofFAB := strings.Contains(got, "airflow roles")
		if !strings.Contains(got, want) || ofFAB != (kind == airflowclient.ForbiddenByFAB) {
			t.Errorf("%q: %s", kind, got)
		}
	}
}

// A hint in a task names no flag of ours, each name in a hint is one that is read, and nothing is left of the two
// dialects.
func TestHints(t *testing.T) {
	t.Parallel()
	known := read(t, "../names/names.go") + read(t, "../input/settings.go")
	ours := regexp.MustCompile(`\b(ECR_REFRESH|AIRFLOW_VAR)_[A-Z_]+|\becr_(aws|targets|refresh)[a-z_]*\b`)
	left, flag := regexp.MustCompile(`[<>]|\{(env|host)\}`), regexp.MustCompile(`(^| )--[a-z]`)
	for _, text := range hints() {
		for _, name := range ours.FindAllString(text, -1) {
			if !strings.Contains(known, `"`+name+`"`) {
				t.Errorf("nothing reads %s: %s", name, text)
			}
		}
		for _, operator := range []string{"", "bash", "docker"} {
			hint := strings.ReplaceAll(translate(text, operator), "Admin > Connections", "")
			own := operator != "" && text != translate(text, "") && !strings.Contains(hint, "airflow ")
			if left.MatchString(hint) || own && flag.MatchString(hint) {
				t.Errorf("%q: %s", operator, hint)
			}
		}
	}
}
