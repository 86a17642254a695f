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
	said := masked(strings.ReplaceAll(o.error, "|", "\\|"))
	if len(said) > 180 {
		said = said[:strings.LastIndexByte(said[:180], ' ')] + " …"
	}
	s.rows = append(s.rows, fmt.Sprintf("| %s | %s | %d | %s |", r.peer, r.fault, o.exit, said))
}

// masked leaves out what differs from run to run.
func masked(text string) string {
	for _, changing := range []struct{ pattern, as string }{
		{`(127\.0\.0\.1|\.invalid|localhost):\d+`, "$1:…"},
		{`unix:///[^\s":]+`, "unix:///…"},
		{`"?/tmp/[^\s":]+"?`, "…"},
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
	table := "| peer | fault | exit | error |\n|---|---|---|---|\n" + strings.Join(s.rows, "\n") + "\n"
	return os.WriteFile(path, []byte(head+begin+table+end+tail), 0o644)
}
