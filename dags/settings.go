package dags

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ErrEdited is an error of Upgrade: more than the settings of a DAG was edited.
var ErrEdited = errors.New("it was edited outside of its settings")

// parts returns, behind the whole, what stands before the settings of a DAG's text, these, and what stands behind them.
func parts(text string) []string {
	form := regexp.MustCompile(`(?s)^(.*?\n# --- Settings -+\n)(.*)(# --- End of settings -+\n.*)$`)
	return form.FindStringSubmatch(text)
}

// constants returns the settings among a text, or the first line of each: the line, its name, and its value without the
// comment behind it.
func constants(text string) [][]string {
	return regexp.MustCompile(`(?m)^([A-Z][A-Z0-9_]*) *= *(.*?) *(?:  #.*)?\n`).FindAllStringSubmatch(text, -1)
}

// isLiteral reports whether a line is a setting as Option.Set writes it, with a comment behind it.
func isLiteral(line string) bool {
	form := regexp.MustCompile(`^\w+ *= *(None|\d+|"[^"]*"|'[^']*'|\[[^]]*\]) *(#.*)?\n$`)
	return form.MatchString(line)
}

// Upgrade returns text, a DAG of this version, with the settings of an installed one, which Sign returned, and the
// comments among them, but for the given settings; kept are those that differ. A setting that is new comes below them.
// With ErrEdited it returns the text nevertheless.
func Upgrade(text, installed string, given []string) (upgraded string, kept []string, err error) {
	head, old, _ := strings.Cut(strings.ReplaceAll(installed, "\r\n", "\n"), "\n") // an editor of Windows
	own, was := parts(text), parts(old)
	switch {
	case !strings.HasPrefix(head, written):
		return "", nil, errors.New("it was not written by ecr-refresh")
	case was == nil:
		return "", nil, errors.New("it has no block of settings")
	case !strings.HasSuffix(head, checksum(old)):
		err = ErrEdited
	}
	settings, there := was[2], map[string][]string{}
	for _, line := range constants(settings) {
		there[line[1]] = line
	}
	for _, line := range constants(own[2]) {
		name, is := line[1], there[line[1]]
		delete(there, name)
		switch {
		case is == nil:
			settings += line[0]
		case is[2] == line[2]:
		case !slices.Contains(given, name):
			kept = append(kept, name)
		case !isLiteral(is[0]):
			return "", nil, fmt.Errorf("its setting %s is more than a value on one line", name)
		default:
			settings = strings.Replace(settings, is[0], line[0], 1)
		}
	}
	if unknown := slices.Sorted(maps.Keys(there)); len(unknown) > 0 {
		return "", nil, fmt.Errorf("this version has no setting %s", strings.Join(unknown, ", "))
	}
	return own[1] + settings + own[3], kept, err
}

const written = "# Written by ecr-refresh "

// Sign returns a DAG's text below a line with the version that wrote it, and a checksum by which Upgrade detects edits.
func Sign(text, version string) string {
	return fmt.Sprintf("%s%s. Checksum without settings: %s\n%s", written, version, checksum(text), text)
}

// Signed returns the text below that line.
func Signed(signed string) string {
	_, text, _ := strings.Cut(signed, "\n")
	return text
}

// checksum is of what is around the settings.
func checksum(text string) string {
	part := parts(text)
	return fmt.Sprintf("%.8x", sha256.Sum256([]byte(part[1]+part[3])))
}
