package doctor

import (
	"fmt"

	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/steps/failure"
)

// The states of a finding.
const (
	ok   = "ok"
	warn = "warn"
	fail = "fail"
	skip = "skip"
)

// Finding is what a check found.
type Finding struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do
}

// Findings are in the order of the checks.
type Findings struct {
	Checks []Finding `json:"checks"`

	then []check // run after the check that leaves them
}

func (f *Findings) add(state, name, hint, format string, args ...any) {
	f.Checks = append(f.Checks, Finding{name, state, failure.Clean(fmt.Sprintf(format, args...)), hint})
}

// result adds the message, or err if there is one, and reports whether there is none.
func (f *Findings) result(name string, err error, format string, args ...any) bool {
	if err != nil {
		f.add(fail, name, hints.Of(err), "%s", err)
		return false
	}
	f.add(ok, name, "", format, args...)
	return true
}

// Table returns the findings for a person.
func (f Findings) Table(colours console.Painter) []byte {
	paint := map[string]func(string) string{ok: colours.Good, warn: colours.Warn, fail: colours.Bad, skip: colours.Dim}
	width := 0
	for _, one := range f.Checks {
		width = max(width, len(one.Name))
	}
	var text []byte
	for _, one := range f.Checks {
		state := paint[one.State](fmt.Sprintf("%-4s", one.State))
		text = fmt.Appendf(text, "%s  %-*s  %s\n", state, width, one.Name, one.Message)
		if one.Hint != "" {
			text = fmt.Appendf(text, "%*s→ %s\n", width+8, "", one.Hint)
		}
	}
	return text
}

// Err returns an error if a check failed.
func (f Findings) Err() error {
	n := 0
	for _, one := range f.Checks {
		if one.State == fail {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return failure.Transient("", "%d of %d checks failed", n, len(f.Checks))
}
