package xcom

import (
	"fmt"
	"regexp"
)

var connectionID = regexp.MustCompile(`^[\w.-]+$`)

// IsConnectionID reports whether Airflow accepts id as a connection id.
func IsConnectionID(id string) bool { return len(id) <= 200 && connectionID.MatchString(id) }

// faults are what is wrong with a result.
type faults []string

func (f *faults) add(wrong bool, format string, args ...any) {
	if wrong {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

// check leaves the tokens to step 2, which compares each field with what is encrypted.
func (r ExtractECRToken) check() (f faults) {
	f.add(r.Recipient == "", `field "recipient" is missing`)
	f.add(r.Sealed == "", `field "sealed" is missing`)
	f.add(len(r.Tokens) == 0, `field "tokens" is empty`)
	seen := map[string]bool{}
	for i, t := range r.Tokens {
		f.add(len(t.Connections) == 0, "tokens[%d].connections is empty", i)
		for _, id := range t.Connections {
			f.add(!IsConnectionID(id), "tokens[%d].connections: %.40q is not a connection id", i, id)
			f.add(seen[id], "tokens[%d].connections: %.40q is there twice", i, id)
			seen[id] = true
		}
	}
	return f
}

func (r UpdateDockerConnection) check() (f faults) {
	f.add(len(r.Connections)+len(r.Failures) == 0, `field "connections" is empty`)
	for i, c := range r.Connections {
		f.add(!IsConnectionID(c.ConnectionID), "connections[%d]: %.40q is not a connection id", i, c.ConnectionID)
		f.add(c.Published && c.PublishedAt == nil, "connections[%d].published_at is missing", i)
	}
	return f
}
