package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"filippo.io/age"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

// maxIdentityFile bounds an identity file: one key of 74 characters and some comment lines.
const maxIdentityFile = 4 << 10

// Identity is the private half of a seal: an age X25519 identity. Print gives nothing away: its key is behind a pointer.
type Identity struct{ key *age.X25519Identity }

// NewIdentity makes a fresh identity.
func NewIdentity() (Identity, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return Identity{}, fmt.Errorf("make identity: %w", err)
	}
	return Identity{key}, nil
}

// ParseIdentity reads AGE-SECRET-KEY-1…, alone or as age-keygen writes it, with comment lines around it.
func ParseIdentity(text Secret) (Identity, error) {
	for line := range strings.Lines(text.Reveal()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := age.ParseX25519Identity(line)
		if err != nil {
			break
		}
		return Identity{key}, nil
	}
	return Identity{}, failure.Permanent(hintKeygen, "read identity: not an age X25519 identity (AGE-SECRET-KEY-1…)")
}

// Recipient gives the public half, age1….
func (id Identity) Recipient() string { return id.key.Recipient().String() }

// PrivateKey gives the private half, AGE-SECRET-KEY-1…, for keygen to print and for its file.
func (id Identity) PrivateKey() Secret { return New(id.key.String()) }

// Format keeps fmt away from the key.
func (id Identity) Format(f fmt.State, verb rune) { Secret{}.Format(f, verb) }

// LoadIdentity reads an identity file, as age-keygen and keygen write it: of this user or root, and closed to others.
// A missing file is fs.ErrNotExist.
func LoadIdentity(path string) (Identity, error) {
	text, err := privatefile.ReadMounted(path, maxIdentityFile)
	if err != nil {
		return Identity{}, err
	}
	id, err := ParseIdentity(New(string(text)))
	if err != nil {
		return Identity{}, fmt.Errorf("file %q: %w", path, err)
	}
	return id, nil
}

// CreateIdentity loads the identity at path, or makes it (0600, its folder 0700) when there is none. Two processes that
// make it at once agree: the file appears whole, and the later one reads the earlier one's.
func CreateIdentity(path string) (Identity, error) {
	id, err := LoadIdentity(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id, err = NewIdentity()
	if err != nil {
		return Identity{}, err
	}
	err = privatefile.Create(path, []byte(id.PrivateKey().Reveal()+"\n"))
	if errors.Is(err, fs.ErrExist) {
		return LoadIdentity(path)
	}
	if err != nil {
		return Identity{}, failure.Permanent(hintIdentity, "create identity: %w", err)
	}
	return id, nil
}

const hintIdentity = "run 'ecr-refresh keygen' and set the two Airflow Variables that it prints, or make the folder writable"
