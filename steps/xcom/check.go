package xcom

import (
	"fmt"
	"net/url"
	"time"
)

func (d ExtractECRToken) check() []error {
	var faults []error
	if d.Recipient == "" {
		faults = append(faults, fmt.Errorf("field %q is missing", "recipient"))
	}
	if d.Sealed == "" {
		faults = append(faults, fmt.Errorf("field %q is missing", "sealed"))
	}
	if len(d.Tokens) == 0 {
		faults = append(faults, fmt.Errorf("field %q is empty", "tokens"))
	}
	seen := map[string]bool{}
	for i, t := range d.Tokens {
		at := fmt.Sprintf("tokens[%d]", i)
		faults = append(faults, checkToken(at, t.RegistryURL, t.Username, t.Fingerprint, t.ExpiresAt)...)
		if t.IssuedAt.IsZero() {
			faults = append(faults, fmt.Errorf("%s.issued_at is missing", at))
		}
		if len(t.Connections) == 0 {
			faults = append(faults, fmt.Errorf("%s.connections is empty", at))
		}
		for _, id := range t.Connections {
			faults = append(faults, checkID(at+".connections", id)...)
			if seen[id] {
				faults = append(faults, fmt.Errorf("%s.connections: %.40q stands there twice", at, id))
			}
			seen[id] = true
		}
	}
	return faults
}

func (d UpdateDockerConnection) check() []error {
	faults := checkSome("connections", len(d.Connections), d.Failures)
	for i, c := range d.Connections {
		at := fmt.Sprintf("connections[%d]", i)
		faults = append(faults, checkID(at+".connection_id", c.ConnectionID)...)
		faults = append(faults, checkToken(at, c.RegistryURL, c.Username, c.Fingerprint, c.ExpiresAt)...)
		if c.Published && c.PublishedAt == nil {
			faults = append(faults, fmt.Errorf("%s.published_at is missing", at))
		}
	}
	return faults
}

func (d TestDockerConnection) check() []error {
	faults := checkSome("connections", len(d.Connections), d.Failures)
	for i, c := range d.Connections {
		faults = append(faults, checkID(fmt.Sprintf("connections[%d].connection_id", i), c.ConnectionID)...)
	}
	return faults
}

// checkSome refuses a document that speaks of nothing at all.
func checkSome(field string, n int, failures []Failure) []error {
	if n == 0 && len(failures) == 0 {
		return []error{fmt.Errorf("field %q is empty", field)}
	}
	return nil
}

// IsConnectionID tells whether Airflow would take id as a connection id.
func IsConnectionID(id string) bool { return len(id) <= 200 && connectionID.MatchString(id) }

func checkID(at, id string) []error {
	if !IsConnectionID(id) {
		return []error{fmt.Errorf("%s: %.40q is not a connection id", at, id)}
	}
	return nil
}

func checkToken(at, registryURL, username, print string, expires time.Time) (faults []error) {
	if u, err := url.Parse(registryURL); err != nil || u.Hostname() == "" || registryURL != "https://"+u.Host {
		faults = append(faults, fmt.Errorf("%s.registry_url: %.80q is not https://HOST", at, registryURL))
	}
	if username == "" {
		faults = append(faults, fmt.Errorf("%s.username is missing", at))
	}
	if expires.IsZero() {
		faults = append(faults, fmt.Errorf("%s.expires_at is missing", at))
	}
	if !fingerprint.MatchString(print) {
		faults = append(faults, fmt.Errorf("%s.fingerprint: %.20q is not 12 hex digits", at, print))
	}
	return faults
}
