package status

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/steps/failure"
)

// Kinds of failure.
const (
	NoToken  failure.Kind = "no run updated a connection"
	TooShort failure.Kind = "token expires too soon"
	Doubtful failure.Kind = "connection may not have the token"
)

// Check returns an error if no token is known. If minLeft is not 0, it returns one, too, if a token expires sooner or is
// unknown, or if a connection is known to have been changed since its update, and no test has accepted it since. What
// is not known for lack of a right is no error.
func (s Status) Check(dag string, minLeft time.Duration) error {
	if !slices.ContainsFunc(s.Connections, func(c Connection) bool { return c.RunID != nil }) {
		return failure.Transient(NoToken, "check tokens: no run of DAG %q has updated a connection", dag)
	}
	if minLeft <= 0 {
		return nil
	}
	var short []string
	var errs []error
	for _, c := range s.Connections {
		if left, text := c.left(); left < minLeft {
			short = append(short, fmt.Sprintf("%s (%s)", c.ID, text))
		} else if why := c.doubt(s.now); why != "" {
			errs = append(errs, failure.Transient(Doubtful, "check connection %q: %s", c.ID, why))
		}
	}
	if len(short) > 0 {
		err := failure.Transient(TooShort, "check tokens: less than %s left for %s", minLeft, strings.Join(short, ", "))
		errs = slices.Insert(errs, 0, error(err))
	}
	return failure.Join(errs)
}

// left returns for how long the token is valid, which is less than 0 where it is not known.
func (c Connection) left() (left time.Duration, text string) {
	if c.LeftSeconds == nil {
		return -1, "unknown"
	}
	if left = time.Duration(*c.LeftSeconds) * time.Second; left <= 0 {
		return left, "expired"
	}
	return left, left.Round(time.Minute).String()
}

// doubt returns why the connection may not have the token of its update, or "".
func (c Connection) doubt(now time.Time) string {
	switch {
	case c.broken():
		return fmt.Sprintf("it is not as its update left it: %s", c.Stored)
	case c.tested() && !c.passed():
		return fmt.Sprintf("its test %s, in run %s, ended with: %s", ago(now, c.Tested.At), c.Tested.RunID, c.Tested.Result)
	case c.Changed != nil && !c.tested():
		return fmt.Sprintf("changed %s by %s (%s), and not tested since",
			ago(now, c.Changed.At), cmp.Or(c.Changed.By, "somebody"), c.Changed.Event)
	}
	return ""
}

func (c Connection) broken() bool { return c.Stored != AsUpdated && c.Stored != NotKnown }

// tested reports whether there was a test after the update, and after the last change.
func (c Connection) tested() bool {
	return c.Tested != nil && !c.Tested.At.Before(c.updated) && (c.Changed == nil || c.Tested.At.After(c.Changed.At))
}

func (c Connection) passed() bool { return c.Tested.Result == testOK || c.Tested.Result == testOther }

// Table returns the status for a person, to be written to w. Colours mark what Check would reject.
func (s Status) Table(minLeft time.Duration, w io.Writer) []byte {
	dim := func(text string) string { return console.Paint(w, console.Dim, text) }
	rows := [][]string{{"CONNECTION", "UPDATED", "EXPIRES", dim("LEFT"), dim("CHANGED"), dim("TESTED")}}
	for _, c := range s.Connections {
		updated, colour := "-", console.Good
		if c.PublishedAt != nil {
			updated = ago(s.now, *c.PublishedAt)
		}
		left, shown := c.left()
		if left <= 0 {
			colour = console.Bad
		} else if left < minLeft {
			colour = console.Warn
		}
		change, marked := c.change(s.now)
		test, testMark := c.test(s.now)
		rows = append(rows, []string{c.ID, updated, moment(c.ExpiresAt), console.Paint(w, colour, shown),
			console.Paint(w, marked, change), console.Paint(w, testMark, test)})
	}
	return console.Table(rows)
}

// change returns how the connection differs from its update, and by whom.
func (c Connection) change(now time.Time) (text, colour string) {
	var parts []string
	if c.broken() {
		parts = append(parts, string(c.Stored))
	}
	if c.Changed != nil {
		parts = append(parts, ago(now, c.Changed.At)+" by "+cmp.Or(c.Changed.By, "somebody"))
	}
	switch {
	case c.broken() || c.Changed != nil && !c.tested():
		return strings.Join(parts, ", "), console.Bad
	case c.Changed != nil:
		return parts[0], console.Warn
	case c.unlogged:
		return "unknown", console.Warn
	case c.PublishedAt == nil:
		return "-", console.Dim
	}
	return "no", console.Good
}

func (c Connection) test(now time.Time) (text, colour string) {
	switch {
	case c.PublishedAt == nil:
		return "-", console.Dim
	case !c.tested():
		return "not since", console.Warn
	case !c.passed():
		colour = console.Bad
	default:
		colour = console.Good
	}
	return ago(now, c.Tested.At) + ": " + c.Tested.Result, colour
}

// ago returns how long ago t was, in two units at most.
func ago(now, t time.Time) string {
	d := max(now.Sub(t), 0).Round(time.Second)
	if d < time.Minute {
		return d.String() + " ago"
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s") + " ago"
}

func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
