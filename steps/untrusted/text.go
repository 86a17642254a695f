// Package untrusted holds text that somebody else wrote: what a server answers, a connection's fields, a file's name. A
// Text cannot be printed as it is. Whatever prints it shows one short line, without control characters and without the
// secrets that this process holds.
package untrusted

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

const (
	maxKept  = 4 << 10 // bytes of a text
	maxRead  = 2 << 10 // bytes of it that are scrubbed
	maxShown = 200     // characters of that
)

// Text is text that somebody else wrote. The zero Text is empty. The value is behind a pointer, so that fmt cannot
// reach it even in an unexported field of another struct.
type Text struct{ raw *string }

// New returns a Text of the beginning of raw.
func New(raw string) Text {
	raw = strings.Clone(raw[:min(len(raw), maxKept)])
	return Text{&raw}
}

// Raw returns the text as it was written: to compare it, never to show it. layout_test.go lists who calls it.
func (t Text) Raw() string {
	if t.raw == nil {
		return ""
	}
	return *t.raw
}

// String returns the first 200 characters of Line.
func (t Text) String() string {
	line := t.Line()
	if runes := []rune(line); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return line
}

// Line returns the text on one line, without terminal escapes, the user information of URLs and secrets.
func (t Text) Line() string { return process.show(t.Raw()[:min(len(t.Raw()), maxRead)]) }

// Format prints String, for every verb. %q is for a name: it keeps blanks at its ends, and nothing before an @.
func (t Text) Format(f fmt.State, verb rune) {
	shown := t.String
	if verb == 'q' {
		shown = t.asName
	}
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), shown())
}

func (t Text) asName() string {
	name := t.Raw()
	shown := New(WithoutLogin(name)).String()
	if len(name) < maxShown && strings.Trim(name, " ") != name {
		shown = strings.Replace(name, strings.TrimSpace(name), shown, 1)
	}
	return shown
}

// MarshalText returns String: encoding/json calls it, too.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalJSON reads a string: what is none is empty.
func (t *Text) UnmarshalJSON(value []byte) error {
	var raw string
	_ = json.Unmarshal(value, &raw)
	*t = New(raw)
	return nil
}

var (
	escapes  = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?`)
	folds    = regexp.MustCompile(`:{2,}((?:end)?group):{2,}`)
	userInfo = regexp.MustCompile(`//[^/@\s]*@`)
)

// Clean makes a text that may be partly of somebody else fit for a log: without terminal escapes, invisible characters
// and the marks that fold lines on Airflow's log page (::group::), and with blanks for control characters.
func Clean(text string) string {
	text = strings.ToValidUTF8(escapes.ReplaceAllString(text, ""), "?")
	return folds.ReplaceAllString(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text), "$1 ")
}

// line returns text on one line, with single blanks, and without the user information of URLs.
func line(text string) string {
	return strings.Join(strings.Fields(userInfo.ReplaceAllString(Clean(text), "//")), " ")
}

// WithoutLogin returns a host or URL as it is written, but for what stands before an @: that may hold a password.
func WithoutLogin(host string) string {
	if at := strings.LastIndex(host, "@"); at >= 0 {
		return "…" + host[at:]
	}
	return host
}
