package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// row is one line of the table.
type row struct {
	release, authManager string
	operator, executor   string
	versions             map[string]string // of Airflow's providers
	day                  string
	passed               int
	failed               []string
}

// kind is one operator on one executor, and the names of the tests that belong to it. Tests that no other kind claims
// belong to the last one: they use what the default DAG uses.
type kind struct {
	operator, executor string
	tests              *regexp.Regexp
}

func kinds() []kind {
	return []kind{
		{"DockerOperator", "Celery", regexp.MustCompile(`(?i)celery.*docker|docker.*celery`)},
		{"BashOperator", "Celery", regexp.MustCompile(`(?i)celery`)},
		{"DockerOperator", "Local", regexp.MustCompile(`(?i)/docker(_operator|,)|image`)},
		{"BashOperator", "Local", regexp.MustCompile(``)},
	}
}

// rowsOf makes a row of each kind of which a test ran.
func rowsOf(tests map[string]bool, common row) []row {
	rows := make([]row, len(kinds()))
	for name, ok := range tests {
		at := slices.IndexFunc(kinds(), func(k kind) bool { return k.tests.MatchString(name) })
		if ok {
			rows[at].passed++
		} else {
			rows[at].failed = append(rows[at].failed, name)
		}
	}
	var all []row
	for i, k := range slices.Backward(kinds()) {
		if r := rows[i]; r.passed+len(r.failed) > 0 {
			common.operator, common.executor, common.passed, common.failed = k.operator, k.executor, r.passed, r.failed
			slices.Sort(common.failed)
			all = append(all, common)
		}
	}
	return all
}

func table(rows []row) string {
	var text strings.Builder
	text.WriteString("| Airflow | auth manager | operator | executor | providers | result | day |\n" +
		"|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		release := r.release
		if optional(release) {
			release += ", optional"
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s | %s | %s |\n",
			release, r.authManager, r.operator, r.executor, r.providers(), r.result(), r.day)
	}
	return text.String()
}

// providers names those that take part.
func (r row) providers() string {
	names := []string{map[string]string{"BashOperator": "standard", "DockerOperator": "docker"}[r.operator]}
	if r.authManager != "simple" {
		names = append(names, r.authManager)
	}
	if r.executor == "Celery" {
		names = append(names, "celery")
	}
	for i, name := range names {
		names[i] += " " + r.versions[name]
	}
	return strings.Join(names, ", ")
}

func (r row) result() string {
	if len(r.failed) > 0 {
		return fmt.Sprintf("**red**: %s", strings.Join(r.failed, ", "))
	}
	if r.passed == 1 {
		return "green (1 test)"
	}
	return fmt.Sprintf("green (%d tests)", r.passed)
}

// merge adds to a table those lines of an older one that are of another release or auth manager: each has the day of
// its run.
func merge(table, older string) string {
	head, lines := split(table)
	_, old := split(older)
	ran := map[string]bool{}
	for _, line := range lines {
		ran[place(line)] = true
	}
	for _, line := range old {
		if !ran[place(line)] {
			lines = append(lines, line)
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(place(a), place(b)) })
	return head + strings.Join(lines, "")
}

// split parts the two lines at a table's head from its rows.
func split(table string) (head string, rows []string) {
	lines := slices.Collect(strings.Lines(table))
	at := min(2, len(lines))
	return strings.Join(lines[:at], ""), lines[at:]
}

// place is the release and auth manager of a line, the simple one first.
func place(line string) string {
	cells := strings.Split(line, " | ")
	if len(cells) < 2 {
		return ""
	}
	return cells[0] + " " + strings.Replace(cells[1], "simple", "", 1)
}

// rewrite puts the table between its two marks, with what stands there of other releases and auth managers.
func rewrite(file, table string) error {
	const begin, end = "<!-- compat -->\n", "<!-- /compat -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(text, []byte(begin))
	older, after, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return fmt.Errorf("%s has no lines %q and %q for the table",
			file, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(file, slices.Concat(before, []byte(begin+merge(table, string(older))+end), after), 0o644)
}
