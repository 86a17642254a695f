package input

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// CheckFIPS reports that Go allows no cryptography but that of FIPS 140-3, and warns where that is wanted.
func (r *Reader) CheckFIPS() {
	const why = "age encrypts results with X25519 and ChaCha20-Poly1305, which FIPS 140-3 does not approve"
	if fips140.Enforced() {
		r.Fault(failure.Permanent(NotApproved, "run with GODEBUG=fips140=only: %s", why))
	} else if fips140.Enabled() {
		r.Log.Warn("GODEBUG=fips140=on: " + why)
	}
}

// PublicKey returns the public key to encrypt to: the one that is given, or that of a private key that is given, or
// that of this host's own, which is created if need be, and no other input is at fault.
func (r *Reader) PublicKey() string {
	if key, source := r.Given(r.Recipient); key != "" {
		if Operator() != "" {
			source = sourceOf(names.RecipientEnv)
		}
		if err := secret.CheckRecipient(key); err != nil {
			r.Fault(fmt.Errorf("%s: %w", source, err))
		}
		return key
	}
	id, own, err := r.identity()
	if r.Fault(err); own != "" && !r.Faulty() {
		id, err = secret.CreateIdentity(own)
		r.Fault(err)
	}
	if r.Faulty() {
		return ""
	}
	return id.Recipient()
}

// PrivateKey returns the private key of recipient: the one that is given, or this host's own.
func (r *Reader) PrivateKey(recipient string) secret.Identity {
	id, own, err := r.identity()
	if own != "" {
		if id, err = secret.LoadOwn(own); errors.Is(err, fs.ErrNotExist) {
			err = failure.Permanent(NoPrivateKey, "the private key of recipient %.70q is missing", recipient)
		}
	}
	r.Fault(err)
	return id
}

// identity returns the private key of the environment, or of a file that is named, or else the path of this host's own.
func (r *Reader) identity() (id secret.Identity, own string, err error) {
	if key := secretIn(names.PrivateKeyEnv); !key.Empty() {
		if id, err = secret.ParseIdentity(key); err != nil {
			err = fmt.Errorf("%s: %w", sourceOf(names.PrivateKeyEnv), err)
		}
		return id, "", err
	}
	if path := r.Optional(r.IdentityFile); path != "" {
		id, err = secret.LoadIdentity(path)
		return id, "", err
	}
	// https://specifications.freedesktop.org/basedir-spec: a relative path is ignored.
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		state = filepath.Join(os.Getenv("HOME"), ".local", "state")
	}
	if !filepath.IsAbs(state) {
		const form = "find the private key: neither XDG_STATE_HOME nor HOME is an absolute path"
		return id, "", failure.Permanent(NoPrivateKey, form)
	}
	return id, filepath.Join(state, "ecr-refresh", "identity"), nil
}
