package failure

import (
	"regexp"
	"strings"
	"unicode"
)

// maxSaid bounds what is repeated of a server's words.
const maxSaid = 200

// Clean makes somebody else's words fit for a log, be they a server's or a file's name: without terminal escapes and
// invisible characters, other control characters and line breaks as blanks, and without the marks with which Airflow's
// log page folds lines (::group::).
func Clean(words string) string {
	if strings.Contains(words, "\x1b") {
		words = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?`).ReplaceAllString(words, "")
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

// Said is Line, cut to 200 characters: enough of what a server says.
func Said(words string) string { return Cut(Line(words)) }

// Cut gives the first 200 characters.
func Cut(words string) string {
	if runes := []rune(words); len(runes) > maxSaid {
		return string(runes[:maxSaid]) + "…"
	}
	return words
}
