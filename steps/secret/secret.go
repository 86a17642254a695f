package secret

import (
	"errors"
	"fmt"
	"io"
)

// Secret holds a password, a token or a private key. It cannot be printed (fmt, slog) and refuses to be marshalled: a
// "[redacted]" that marshals could be written into Airflow as a password. The value is behind a pointer, so that fmt
// cannot reach it even in an unexported field of another struct. The zero Secret is empty.
type Secret struct{ value *string }

// New returns a Secret with value.
func New(value string) Secret { return Secret{value: &value} }

// Reveal returns the value. Call it only where the secret leaves for its service; layout_test.go lists those places.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Equal reports whether two secrets hold the same value.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// Format prints "[redacted]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// MarshalText always fails, and with it every encoder of the standard library.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("marshal secret: a secret is never marshalled")
}
