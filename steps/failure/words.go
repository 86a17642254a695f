package failure

import (
	"regexp"
	"strings"
	"unicode"
)

// maxExcerpt bounds what is repeated of a server's message, in characters.
const maxExcerpt = 200

// Clean makes a text of somebody else, such as a server's message or a file's name, fit for a log. It drops terminal
// escapes and invisible characters, turns control characters and line breaks into blanks, and drops the marks with
// which Airflow's log page folds lines (::group::).
func Clean(words string) string {
	if strings.Contains(words, "\x1b") {
		escapes := regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?`)
		words = escapes.ReplaceAllString(words, "")
	}
	words = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(words, "?"))
	if strings.Contains(words, "::") {
		words = regexp.MustCompile(`:{2,}((?:end)?group):{2,}`).ReplaceAllString(words, "$1 ")
	}
	return words
}

// Line is Clean, with single blanks between words.
func Line(words string) string { return strings.Join(strings.Fields(Clean(words)), " ") }

// Excerpt is Line, cut to 200 characters.
func Excerpt(words string) string { return Cut(Line(words)) }

// Cut returns the first 200 characters.
func Cut(words string) string {
	if runes := []rune(words); len(runes) > maxExcerpt {
		return string(runes[:maxExcerpt]) + "…"
	}
	return words
}
