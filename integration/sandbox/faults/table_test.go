package faults

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// cell is text without what differs from run to run, cut to what a reader needs.
func cell(text string) string {
	text = strings.ReplaceAll(text, "|", "\\|")
	for _, changing := range []struct{ pattern, as string }{
		{`(127\.0\.0\.1|\.invalid|localhost):\d+`, "$1:…"},
		{`unix:///[^\s":]+`, "unix:///…"},
		{`"?/tmp/[^\s":]+"?`, "…"},
		{` on [0-9.:]+:53: `, ": "},
		{`\b\d+s old`, "…s old"},
		{`\d{4}-\d\d-\d\dT[0-9:]+Z`, "…"},
	} {
		text = regexp.MustCompile(changing.pattern).ReplaceAllString(text, changing.as)
	}
	if len(text) > 180 {
		text = text[:strings.LastIndexByte(text[:180], ' ')] + " …"
	}
	return text
}

// writeTable puts rows into the document that FAULTS names.
func writeTable(t *testing.T, rows []string) {
	path := os.Getenv("FAULTS")
	if path == "" || t.Failed() {
		return
	}
	if os.Geteuid() != 0 {
		t.Fatal("the table has rows that root alone can make: run make faults as root")
	}
	slices.Sort(rows)
	text, err := os.ReadFile(path)
	must(t, err)
	const begin, end = "<!-- faults -->\n", "<!-- /faults -->"
	head, rest, _ := strings.Cut(string(text), begin)
	_, tail, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no %q", path, begin+end)
	}
	table := "| service | fault | exit | error | hint |\n|---|---|---|---|---|\n" + strings.Join(rows, "")
	must(t, os.WriteFile(path, []byte(head+begin+table+end+tail), 0o644))
}
