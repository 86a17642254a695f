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
		state, name := console.Paint(w, colours[one.State], fmt.Sprintf("%-4s", one.State)), one.Name
		lines := one.lines(columns - len("skip  ") - nameColumn - len("  "))
		if utf8.RuneCountInString(name) > nameColumn {
			lines = append([]string{""}, lines...)
		}
		for _, line := range lines {
			row := fmt.Sprintf("%s  %-*s  %s", state, nameColumn, name, line)
			fmt.Fprintln(&text, strings.TrimRight(row, " "))
			state, name = "    ", ""
		}
	}
	return text.Bytes()
}

// lines returns message, hint and URL in lines of a width.
func (f Finding) lines(width int) []string {
	lines := wrap(f.Message, width)
	for i, line := range wrap(f.Hint, width-2) {
		lines = append(lines, []string{"→ ", "  "}[min(i, 1)]+line)
	}
	return append(lines, wrap(f.URL, width)...) // one word
}

// wrap breaks a text between its words.
func wrap(text string, width int) (lines []string) {
	for _, word := range strings.Fields(text) {
		last := len(lines) - 1
		if last < 0 || utf8.RuneCountInString(lines[last]+" "+word) > width {
			lines = append(lines, word)
		} else {
			lines[last] += " " + word
		}
	}
	return lines
}
