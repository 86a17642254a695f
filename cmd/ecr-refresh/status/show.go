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

// Check returns an error if no token is known. If minLeft is not 0, it also returns one if a token expires sooner or is
// unknown, or if its connection may not have it. What is not known for lack of a right is none.
func (s Status) Check(dag string, minLeft time.Duration) error {
	if !slices.ContainsFunc(s.Connections, func(c *Connection) bool { return c.RunID != nil }) {
		return failure.Transient(NoToken, "check tokens: no run of DAG %q has updated a connection", dag)
	}
	var errs []error
	for _, c := range s.Connections {
		if kind, why := c.problem(s.now, minLeft); kind != "" && minLeft > 0 {
			errs = append(errs, failure.Transient(kind, "check connection %q: %s", c.ID, why))
		}
	}
	return failure.Join(errs)
}

// problem returns why the token is not valid for minLeft, or the connection may not have it, or "".
func (c *Connection) problem(now time.Time, minLeft time.Duration) (failure.Kind, string) {
	switch left, text := c.left(); {
	case left <= 0 || left < minLeft:
		return TooShort, fmt.Sprintf("less than %s left (%s)", minLeft, text)
	case c.differs():
		return Doubtful, "it is not as its update left it: " + c.Stored
	case c.tested() && !c.Tested.Passed:
		return Doubtful, fmt.Sprintf("run %s tested it %s: %s", c.Tested.RunID, ago(now, c.Tested.At), c.Tested.Result)
	case c.Changed != nil && !c.tested():
		return Doubtful, fmt.Sprintf("changed %s (%s), and not tested since", c.change(now), c.Changed.Event)
	}
	return "", ""
}

// left returns for how long the token is valid, which is less than 0 where it is not known.
func (c *Connection) left() (left time.Duration, text string) {
	if c.LeftSeconds == nil {
		return -1, unknown
	}
	if left = time.Duration(*c.LeftSeconds) * time.Second; left <= 0 {
		return left, "expired"
	}
	return left, left.Round(time.Minute).String()
}

func (c *Connection) differs() bool { return c.Stored != asUpdated && c.Stored != unknown }

// tested reports whether there was a test after the update, and after the change.
func (c *Connection) tested() bool {
	return c.Tested != nil && !c.Tested.At.Before(c.returned) && (c.Changed == nil || c.Tested.At.After(c.Changed.At))
}

// change returns how the connection differs from what its update left, and who changed it when.
func (c *Connection) change(now time.Time) string {
	var known []string
	if c.differs() {
		known = append(known, c.Stored)
	}
	if c.Changed != nil {
		known = append(known, ago(now, c.Changed.At)+" by "+cmp.Or(c.Changed.By, "somebody"))
	}
	if known == nil && c.unlogged {
		return unknown
	}
	return cmp.Or(strings.Join(known, ", "), "no")
}

// Table returns the status for a person, to be written to w. Colours mark what Check would reject.
func (s Status) Table(minLeft time.Duration, w io.Writer) []byte {
	rows := [][]string{{console.Paint(w, console.Dim, "CONNECTION"), "UPDATED", "EXPIRES", "LEFT", "CHANGED", "TESTED"}}
	for _, c := range s.Connections {
		colour, updated, expires, test := console.Good, "-", "-", "-"
		if c.RunID != nil {
			updated, expires, test = ago(s.now, *c.PublishedAt), c.ExpiresAt.UTC().Format(time.RFC3339), "not since"
		}
		if c.tested() {
			test = ago(s.now, c.Tested.At) + ": " + c.Tested.Result
		}
		if kind, _ := c.problem(s.now, minLeft); kind != "" {
			colour = console.Bad
		}
		_, left := c.left()
		rows = append(rows, []string{console.Paint(w, colour, c.ID), updated, expires, left, c.change(s.now), test})
	}
	return console.Table(rows)
}

// ago returns how long ago t was: seconds, or hours and minutes.
func ago(now, t time.Time) string {
	d := max(now.Sub(t), 0).Round(time.Second)
	if d >= time.Minute {
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s") + " ago"
	}
	return d.String() + " ago"
}
