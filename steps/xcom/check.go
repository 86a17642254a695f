package xcom

import (
	"fmt"
	"net/url"
	"regexp"

	"ecr-refresh/steps/secret"
)

var (
	connectionID = regexp.MustCompile(`^[\w.-]+$`)
	fingerprint  = regexp.MustCompile(`^[0-9a-f]{12}$`)
)

// IsConnectionID reports whether Airflow accepts id as a connection id.
func IsConnectionID(id string) bool { return len(id) <= 200 && connectionID.MatchString(id) }

// faults are what is wrong with a result.
type faults []string

func (f *faults) add(wrong bool, format string, args ...any) {
	if wrong {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

func (f *faults) addID(at, id string) {
	f.add(!IsConnectionID(id), "%s: %.40q is not a connection id", at, id)
}

func (f *faults) addToken(at string, t secret.TokenInfo) {
	u, err := url.Parse(t.RegistryURL)
	bad := err != nil || u.Hostname() == "" || t.RegistryURL != "https://"+u.Host
	f.add(bad, "%s.registry_url: %.80q is not https://HOST", at, t.RegistryURL)
	f.add(t.Username == "", "%s.username is missing", at)
	f.add(t.ExpiresAt.IsZero(), "%s.expires_at is missing", at)
	f.add(!fingerprint.MatchString(t.Fingerprint), "%s.fingerprint: %.20q is not 12 hex digits", at, t.Fingerprint)
}

func (r ExtractECRToken) check() (f faults) {
	f.add(r.Recipient == "", `field "recipient" is missing`)
	f.add(r.Sealed == "", `field "sealed" is missing`)
	f.add(len(r.Tokens) == 0, `field "tokens" is empty`)
	seen := map[string]bool{}
	for i, t := range r.Tokens {
		at := fmt.Sprintf("tokens[%d]", i)
		f.addToken(at, t.TokenInfo)
		f.add(t.IssuedAt.IsZero(), "%s.issued_at is missing", at)
		f.add(len(t.Connections) == 0, "%s.connections is empty", at)
		for _, id := range t.Connections {
			f.addID(at+".connections", id)
			f.add(seen[id], "%s.connections: %.40q is there twice", at, id)
			seen[id] = true
		}
	}
	return f
}

func (r UpdateDockerConnection) check() (f faults) {
	f.add(len(r.Connections)+len(r.Failures) == 0, `field "connections" is empty`)
	for i, c := range r.Connections {
		at := fmt.Sprintf("connections[%d]", i)
		f.addID(at+".connection_id", c.ConnectionID)
		f.addToken(at, c.TokenInfo)
		f.add(c.Published && c.PublishedAt == nil, "%s.published_at is missing", at)
	}
	return f
}
