package input

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ecr-refresh/cmd/ecr-refresh/environment"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// PublicKey returns the public key to encrypt to: the one that is given, or that of a private key that is given, or
// that of this host's own, which is created if need be.
func (r *Reader) PublicKey() string {
	if key, _ := Given(r.Context, r.Recipient); key != "" {
		r.Fault(secret.CheckRecipient(key))
		return key
	}
	id, found, err := r.givenIdentity()
	if !found {
		id, err = ownIdentity(secret.CreateIdentity)
	}
	if err != nil {
		r.Fault(err)
		return ""
	}
	return id.Recipient()
}

// PrivateKey returns the private key of recipient: the one that is given, or this host's own.
func (r *Reader) PrivateKey(recipient string) secret.Identity {
	id, found, err := r.givenIdentity()
	if !found {
		id, err = ownIdentity(secret.LoadIdentity)
	}
	if errors.Is(err, fs.ErrNotExist) && !found {
		path, _ := identityPath()
		err = failure.Permanent(NoPrivateKey, "the private key of recipient %.70q is missing", recipient).About(path)
	}
	r.Fault(err)
	return id
}

// givenIdentity returns the private key of the environment, or of a file that was named.
func (r *Reader) givenIdentity() (id secret.Identity, found bool, err error) {
	if key := environment.Secret(names.PrivateKeyEnv); !key.Empty() {
		if id, err = secret.ParseIdentity(key); err != nil {
			err = fmt.Errorf("%s: %w", r.sourceOf(names.PrivateKeyVariable, names.PrivateKeyEnv), err)
		}
		return id, true, err
	}
	if path := r.Optional(r.IdentityFile); path != "" {
		id, err = secret.LoadIdentity(path)
		return id, true, err
	}
	return id, false, nil
}

// sourceOf returns what the reader of the log calls an input: the Variable in a task, else what is in env.
func (r *Reader) sourceOf(variable, env string) string {
	if InTask() {
		return fmt.Sprintf("Variable %q", variable)
	}
	return env
}

func ownIdentity(at func(path string) (secret.Identity, error)) (secret.Identity, error) {
	path, err := identityPath()
	if err != nil {
		return secret.Identity{}, err
	}
	return at(path)
}

// identityPath returns the file of this host's own private key.
func identityPath() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", failure.Permanent(NoHome, "find the private key: neither XDG_STATE_HOME nor HOME is set")
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "ecr-refresh", "identity"), nil
}
