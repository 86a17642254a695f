package hints

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every kind of failure that the program can meet has a hint. That no hint is of another kind, the compiler knows.
func TestEveryKindHasAHint(t *testing.T) {
	t.Parallel()
	table, kind := read(t, "table.go"), regexp.MustCompile(`(?m)^(?:const )?\s*(\w+)\s+(?:failure\.)?Kind\s+=`)
	found := 0
	for _, folder := range []string{"steps", "airflowclient", "cmd/ecr-refresh"} {
		err := filepath.WalkDir("../../../"+folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, match := range kind.FindAllStringSubmatch(read(t, path), -1) {
				name := filepath.Base(filepath.Dir(path)) + "." + match[1]
				if found++; !strings.Contains(table, "\t\t"+name+":") {
					t.Errorf("%s has no hint", name)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if found != len(hints()) {
		t.Errorf("%d kinds and %d hints", found, len(hints()))
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
