package faults

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// seenTable gathers the outcomes for docs/reliability.md.
type seenTable struct {
	mu   sync.Mutex
	rows []string
}

func (s *seenTable) add(r row, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = append(s.rows, fmt.Sprintf("| %s | %s | %d | %s | %s |", r.peer, r.fault, o.exit, cell(o.error),
		cell(o.hint)))
}

// cell is text, cut to what a reader needs.
func cell(text string) string {
	text = masked(strings.ReplaceAll(text, "|", "\\|"))
	if len(text) > 180 {
		text = text[:strings.LastIndexByte(text[:180], ' ')] + " …"
	}
	return text
}

// masked leaves out what differs from run to run.
func masked(text string) string {
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
	return text
}

func (s *seenTable) write(path string) error {
	slices.Sort(s.rows)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const begin, end = "<!-- faults -->\n", "<!-- /faults -->"
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no %q", path, begin)
	}
	table := "| service | fault | exit | error | hint |\n|---|---|---|---|---|\n" + strings.Join(s.rows, "\n") + "\n"
	return os.WriteFile(path, []byte(head+begin+table+end+tail), 0o644)
}
