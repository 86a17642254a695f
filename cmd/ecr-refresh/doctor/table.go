package doctor

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"ecr-refresh/cmd/ecr-refresh/console"
)

// Columns of a table: its lines, and its names. Only a URL, or a name or a word that is longer, makes a longer line.
const (
	columns    = 100
	nameColumn = 29
)

// Table returns the findings for a person, to be written to w.
func (f Findings) Table(w io.Writer) []byte {
	colours := map[string]string{ok: console.Good, warn: console.Warn, fail: console.Bad, skip: console.Dim}
	var text bytes.Buffer
	for _, one := range f.Checks {
		state := console.Paint(w, colours[one.State], fmt.Sprintf("%-4s", one.State))
		lines := one.lines(columns - len("skip  ") - nameColumn - len("  "))
		if utf8.RuneCountInString(one.Name) > nameColumn {
			fmt.Fprintf(&text, "%s  %s\n", state, one.Name)
		} else {
			fmt.Fprintf(&text, "%s  %-*s  %s\n", state, nameColumn, one.Name, lines[0])
			lines = lines[1:]
		}
		for _, line := range lines {
			fmt.Fprintf(&text, "%4s  %*s  %s\n", "", nameColumn, "", line)
		}
	}
	return text.Bytes()
}

// lines returns message, hint and URL in lines of a width.
func (f Finding) lines(width int) []string {
	lines := wrap(f.Message, width)
	if f.Hint != "" {
		for i, line := range wrap(f.Hint, width-2) {
			lines = append(lines, map[bool]string{true: "→ ", false: "  "}[i == 0]+line)
		}
	}
	if f.URL != "" {
		lines = append(lines, f.URL)
	}
	return lines
}

// wrap breaks a text between its words.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
