// Package secret holds the credentials: Secret, a value that cannot be printed; Token, an ECR authorization token; and
// the encryption of tokens on their way from one task to the next.
package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"ecr-refresh/steps/untrusted"
)

// Secret holds a password, a token or a private key. It cannot be printed (fmt, slog) and refuses to be marshalled: a
// "[redacted]" that marshals could be written into Airflow as a password. The value is behind a pointer, so that fmt
// cannot reach it even in an unexported field of another struct. The zero Secret is empty.
type Secret struct{ value *string }

// New returns a Secret with value, which no untrusted.Text shows from now on.
func New(value string) Secret {
	untrusted.Conceal(value)
	return Secret{value: &value}
}

// Reveal returns the value. Call it only where the secret leaves for its service; layout_test.go lists those places.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Format prints "[redacted]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// MarshalText always fails, and with it every encoder of the standard library.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("marshal secret: a secret is never marshalled")
}

// TokenInfo is what everybody may know of a token. Times are in UTC, so that == compares two of them.
type TokenInfo struct {
	RegistryURL string    `json:"registry_url"` // https://<account>.dkr.ecr.<region>.<suffix>, no path
	Username    string    `json:"username"`     // "AWS"
	IssuedAt    time.Time `json:"issued_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at"`
	Fingerprint string    `json:"fingerprint"`
}

// What ECR issues is valid for Lifetime; the clocks of two workers may differ by ClockSkew.
const (
	Lifetime  = 12 * time.Hour
	ClockSkew = 5 * time.Minute
)

// Check returns an error unless ECR can have issued the token by now: anyone who knows the public key can encrypt one,
// and whoever edits XComs can write what is shown of it.
func (t TokenInfo) Check(now time.Time) error {
	issued := t.IssuedAt
	if issued.IsZero() {
		issued = now
	}
	switch {
	case t.Username != "AWS":
		return fmt.Errorf("its user is %.40q, not AWS", t.Username)
	case !regexp.MustCompile(`^https://[a-z0-9.-]+$`).MatchString(t.RegistryURL):
		return fmt.Errorf("its registry is %.100q, not https://HOST", t.RegistryURL)
	case issued.After(now.Add(ClockSkew)):
		return fmt.Errorf("it was issued at %s, in the future", issued.Format(time.RFC3339))
	case t.ExpiresAt.After(issued.Add(Lifetime + ClockSkew)):
		return fmt.Errorf("it expires at %s, and ECR's are valid for 12 hours", t.ExpiresAt.Format(time.RFC3339))
	}
	return nil
}

// Token is one ECR authorization token, decoded.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_AuthorizationData.html
type Token struct {
	TokenInfo
	Password Secret // about 2,400 characters
}

// Fingerprint returns the first 12 hex digits of the SHA-256 of a token: enough to distinguish tokens, and of no use
// for guessing one, since a token is random and long. Never show that of a password that a human may have chosen.
func Fingerprint(password Secret) string {
	sum := sha256.Sum256([]byte(password.Reveal()))
	return hex.EncodeToString(sum[:])[:12]
}
