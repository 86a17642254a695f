package dags

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrEdited is an error of Upgrade: more than the settings of a DAG was edited.
var ErrEdited = errors.New("it was edited outside of its settings")

// dag is a DAG's text around its settings, which stand between two marked lines.
type dag struct {
	before   string
	settings []setting
	last     string // the comments below them
	after    string
}

// setting is a constant: the comments above it, and its value with the comment behind it.
type setting struct{ comments, name, value string }

func (d dag) String() string {
	text := d.before
	for _, s := range d.settings {
		text += s.comments + s.name + " = " + s.value
	}
	return text + d.last + d.after
}

// index returns where a setting is, or -1.
func (d dag) index(name string) int {
	return slices.IndexFunc(d.settings, func(s setting) bool { return s.name == name })
}

// parse divides a DAG's text; that of Template is without errors.
func parse(text string) (d dag, err error) {
	marks := regexp.MustCompile(`(?s)^(.*?\n# --- Settings -+\n)(.*)(# --- End of settings -+\n.*)$`)
	constant := regexp.MustCompile(`(?m)^([A-Z][A-Z0-9_]*) *= *`)
	below := regexp.MustCompile(`(?m)(^[ \t]*(#.*)?\n)*\z`) // the comments of the next one
	parts := marks.FindStringSubmatch(text)
	if parts == nil {
		return dag{}, errors.New("it has no block of settings")
	}
	values := constant.Split(parts[2], -1)
	d = dag{before: parts[1], last: values[0], after: parts[3]}
	for i, name := range constant.FindAllStringSubmatch(parts[2], -1) {
		s := setting{d.last, name[1], values[i+1]}
		d.last = below.FindString(s.value)
		s.value = strings.TrimSuffix(s.value, d.last)
		if strings.TrimSpace(s.value) == "" || !balanced(s.value) {
			return dag{}, fmt.Errorf("its setting %s has a bracket or quote that is not closed, or no value", s.name)
		}
		d.settings = append(d.settings, s)
	}
	return d, nil
}

// balanced reports whether the quotes and brackets of a Python text are closed.
func balanced(text string) bool {
	token := regexp.MustCompile(
		`(?s)"""(\\.|.)*?"""|'''(\\.|.)*?'''|"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*'|#[^\n]*|[()[\]{}"']`)
	var missing []byte // what closes the brackets that are open
	for _, found := range token.FindAllString(text, -1) {
		at, last := strings.Index("([{", found), len(missing)-1
		switch {
		case at >= 0:
			missing = append(missing, ")]}"[at])
		case len(found) > 1 || found == "#": // a string or a comment
		case last < 0 || found[0] != missing[last]:
			return false
		default:
			missing = missing[:last]
		}
	}
	return len(missing) == 0
}

// Upgrade returns text, a DAG of this version, with the settings of an installed one, which Sign returned, but for the
// given ones; kept are those that differ. If comments among the settings were edited, it takes all of these, too. With
// ErrEdited it returns the text nevertheless.
func Upgrade(text, installed string, given []string) (upgraded string, kept []string, err error) {
	head, old, _ := strings.Cut(strings.ReplaceAll(installed, "\r\n", "\n"), "\n") // an editor of Windows
	if !strings.HasPrefix(head, written) {
		return "", nil, errors.New("it was not written by ecr-refresh")
	}
	own, _ := parse(text)
	was, err := parse(old)
	if err != nil {
		return "", nil, err
	}
	for i, s := range was.settings {
		switch at := own.index(s.name); {
		case at < 0:
			return "", nil, fmt.Errorf("this version has no setting %s", s.name)
		case slices.Contains(given, s.name):
			was.settings[i].value = own.settings[at].value
		case s.value != own.settings[at].value:
			own.settings[at].value = s.value
			kept = append(kept, s.name)
		}
	}
	comments, around := was.checksums()
	if !strings.Contains(head, comments) {
		added := slices.DeleteFunc(own.settings, func(s setting) bool { return was.index(s.name) >= 0 })
		own.settings, own.last = append(was.settings, added...), was.last
	}
	if !strings.HasSuffix(head, around) {
		err = ErrEdited
	}
	return own.String(), kept, err
}

const written = "# Written by ecr-refresh "

// Sign returns a DAG's text below a line with the version that wrote it, and checksums by which Upgrade detects edits.
func Sign(text, version string) string {
	original, _ := parse(RefreshDockerToken)
	signed, _ := parse(text)
	comments, _ := original.checksums() // from which a site's comments differ
	_, around := signed.checksums()
	return fmt.Sprintf("%s%s. Checksums: %s, %s\n%s", written, version, comments, around, text)
}

// Signed returns the text below that line.
func Signed(signed string) string {
	_, text, _ := strings.Cut(signed, "\n")
	return text
}

// checksums returns one of the comments among a DAG's settings, and one of what is around these.
func (d dag) checksums() (comments, around string) {
	for _, s := range d.settings {
		comments += s.comments
	}
	return fmt.Sprintf("settings' comments %.8x", sha256.Sum256([]byte(comments+d.last))),
		fmt.Sprintf("rest %.8x", sha256.Sum256([]byte(d.before+d.after)))
}
