package doctor

import (
	"bytes"
	"fmt"
	"io"
	"slices"
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
	const width = columns - len("skip  ") - nameColumn - len("  ")
	colours := map[string]string{ok: console.Good, warn: console.Warn, fail: console.Bad, skip: console.Dim}
	var text bytes.Buffer
	for _, one := range f.Checks {
		state, name, hint := console.Paint(w, colours[one.State], fmt.Sprintf("%-4s", one.State)), one.Name, ""
		if one.Hint != "" {
			hint = "→ " + one.Hint
		}
		lines := slices.Concat(wrap(one.Message, width), wrap(hint, width), wrap(one.URL, width))
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
