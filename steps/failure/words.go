package failure

import (
	"regexp"
	"strings"
	"unicode"
)

// maxExcerpt bounds what is repeated of a server's message, in characters.
const maxExcerpt = 200

var (
	escapes = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?`)
	folds   = regexp.MustCompile(`:{2,}((?:end)?group):{2,}`)
)

// Clean makes a text of somebody else, such as a server's message or a file's name, fit for a log. It drops terminal
// escapes and invisible characters, turns control characters and line breaks into blanks, and drops the marks with
// which Airflow's log page folds lines (::group::).
func Clean(words string) string {
	words = strings.ToValidUTF8(escapes.ReplaceAllString(words, ""), "?")
	return folds.ReplaceAllString(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, words), "$1 ")
}

// Excerpt is Clean, with single blanks between words, cut to 200 characters.
func Excerpt(words string) string {
	line := []rune(strings.Join(strings.Fields(Clean(words)), " "))
	if len(line) > maxExcerpt {
		return string(line[:maxExcerpt]) + "…"
	}
	return string(line)
}

// WithoutLogin returns a host or URL as it is written, but for what stands before an @: that may hold a password.
func WithoutLogin(text string) string {
	if at := strings.LastIndex(text, "@"); at >= 0 {
		return "…" + text[at:]
	}
	return text
}
