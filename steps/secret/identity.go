package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

// Why a key of the encryption key pair cannot be used.
const (
	NotAKey        failure.Kind = "not a public or private key"
	CannotStoreKey failure.Kind = "private key cannot be stored"
)

// maxKeyFile bounds the file of a private key: one key of 74 characters and some comment lines.
const maxKeyFile = 4 << 10

// Identity is an encryption key pair, as age (X25519) names it. It cannot be printed.
type Identity struct{ key *age.X25519Identity }

// NewIdentity returns a new key pair.
func NewIdentity() Identity {
	key, _ := age.GenerateX25519Identity() // crypto/rand returns no error
	return Identity{key}
}

// ParseIdentity reads a private key, AGE-SECRET-KEY-1…, alone or as age-keygen writes it, with comment lines around it.
func ParseIdentity(text Secret) (Identity, error) {
	for line := range strings.Lines(text.Reveal()) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if key, err := age.ParseX25519Identity(line); err == nil {
			return Identity{key}, nil
		}
		break
	}
	return Identity{}, failure.Permanent(NotAKey, "read private key: not an age X25519 key (AGE-SECRET-KEY-1…)")
}

// Recipient returns the public key, age1….
func (id Identity) Recipient() string { return id.key.Recipient().String() }

// PrivateKey returns the private key, AGE-SECRET-KEY-1….
func (id Identity) PrivateKey() Secret { return New(id.key.String()) }

// Format prints "[redacted]" for every verb.
func (id Identity) Format(f fmt.State, verb rune) { Secret{}.Format(f, verb) }

// LoadIdentity reads the file of a private key: it must belong to this user or root, and be closed to others. The error
// of a missing file is fs.ErrNotExist.
func LoadIdentity(path string) (Identity, error) {
	text, err := privatefile.ReadMounted(path, maxKeyFile)
	if err != nil {
		return Identity{}, err
	}
	id, err := ParseIdentity(New(string(text)))
	if err != nil {
		return Identity{}, fmt.Errorf("file %q: %w", path, err)
	}
	return id, nil
}

// LoadOwn is LoadIdentity for this host's own, whose folder must not be somebody else's, or open to others, either.
func LoadOwn(path string) (Identity, error) {
	if err := privatefile.CheckFolder(filepath.Dir(path)); err != nil {
		return Identity{}, err
	}
	return LoadIdentity(path)
}

// CreateIdentity loads the key pair at path, or creates it (0600, its folder 0700) if there is none. Two processes that
// create it at once get the same one: the file appears whole, and the later process reads the earlier one's.
func CreateIdentity(path string) (Identity, error) {
	id, err := LoadOwn(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id = NewIdentity()
	err = privatefile.Create(path, []byte(id.PrivateKey().Reveal()+"\n"))
	if errors.Is(err, fs.ErrExist) {
		return LoadOwn(path)
	}
	if err != nil {
		return Identity{}, failure.Permanent(CannotStoreKey, "store private key: %w", err).About(path)
	}
	return id, nil
}
