package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/secret"
)

// object is one thing that Airflow shall have.
type object struct {
	kind, id string
	look     func(context.Context) (differs []string, err error) // or ErrNotFound
	write    func(context.Context) error
}

func (s Setup) objects() []object {
	pool := object{
		kind: "pool", id: names.Pool,
		look: func(ctx context.Context) (differs []string, err error) { // it may have any size: that is its owner's
			_, err = s.Admin.Pool(ctx, names.Pool)
			return nil, err
		},
		write: func(ctx context.Context) error {
			pool := airflowclient.Pool{Name: names.Pool, Slots: 5, Description: "System maintenance tasks"}
			return s.Admin.CreatePool(ctx, pool)
		},
	}
	all := []object{pool}
	for _, v := range s.Variables {
		all = append(all, s.variable(v[0], v[1]))
	}
	all = append(all,
		s.connection(airflowclient.Update{
			ID: names.AirflowConnection, Type: "http", Host: s.BaseURL, Login: s.Login, Password: s.Password,
		}, s.airflowDiffers),
		s.connection(airflowclient.Update{
			ID: names.DockerConnection, Type: "docker", Host: s.Registry, Login: "AWS",
		}, func(is airflowclient.Connection) []string { return DockerDiffers(is, s.Registry) }))
	if s.KeyPair {
		all = append(all, s.keyPair())
	}
	return all
}

// variable is one whose value is no secret.
func (s Setup) variable(key, value string) object {
	return object{
		kind: "Variable", id: key,
		look: func(ctx context.Context) (differs []string, err error) {
			is, err := s.Admin.Variable(ctx, key)
			if err == nil && is.Reveal() != value {
				differs = []string{"its value is not " + value}
			}
			return differs, err
		},
		write: func(ctx context.Context) error { return s.Admin.PutVariable(ctx, key, secret.New(value)) },
	}
}

func (s Setup) connection(want airflowclient.Update, compare func(airflowclient.Connection) []string) object {
	return object{
		kind: "connection", id: want.ID,
		look: func(ctx context.Context) (differs []string, err error) {
			is, err := s.Admin.Connection(ctx, want.ID)
			return compare(is), err
		},
		write: func(ctx context.Context) error { return s.Admin.PutConnection(ctx, want) },
	}
}

func (s Setup) airflowDiffers(is airflowclient.Connection) []string {
	differs := AirflowDiffers(is, s.BaseURL, s.Login)
	if is.Password == nil {
		differs = append(differs, "it has no password")
	} else if s.Force {
		differs = append(differs, "the password is set again")
	}
	return differs
}

// AirflowDiffers compares the login of a connection and the URL that it leads to: several sets of host, port and schema
// have the same. The type may be any: without the HTTP provider, Airflow's command line makes "generic" of http.
func AirflowDiffers(is airflowclient.Connection, baseURL, login string) []string {
	url, err := connection.Connection{Type: is.Type, Schema: is.Schema, Host: is.Host, Port: port(is)}.BaseURL()
	if err != nil {
		url = "none"
	}
	return differ("its URL", strings.TrimRight(url, "/"), baseURL, "login", is.Login, login)
}

// DockerDiffers compares a connection with what it has to be to log in at a registry. It leaves out the password, which
// the DAG sets.
func DockerDiffers(is airflowclient.Connection, host string) []string {
	return differ("type", is.Type, "docker", "host", is.Host, host, "port", port(is), "", "login", is.Login, "AWS")
}

// differ compares fields: each is its name, what it is and what is wanted.
func differ(fields ...string) (differs []string) {
	for f := range slices.Chunk(fields, 3) {
		if f[1] != f[2] {
			differs = append(differs, fmt.Sprintf("%s is %.80q, want %q", f[0], f[1], f[2]))
		}
	}
	return differs
}

// port returns "" for none.
func port(of airflowclient.Connection) string { return strings.TrimPrefix(fmt.Sprint(of.Port), "0") }

// keyPair is one object of two Variables, since one without the other is of no use. It writes the private key first:
// with the public key alone, step 1 would encrypt what step 2 cannot decrypt.
func (s Setup) keyPair() object {
	const public, private = names.RecipientVariable, names.PrivateKeyVariable
	return object{
		kind: "encryption key pair", id: public + ", " + private,
		look: func(ctx context.Context) (differs []string, err error) {
			_, err1 := s.Admin.Variable(ctx, public)
			_, err2 := s.Admin.Variable(ctx, private)
			no1, no2 := errors.Is(err1, airflowclient.ErrNotFound), errors.Is(err2, airflowclient.ErrNotFound)
			switch {
			case err1 != nil && !no1:
				return nil, err1
			case err2 == nil && no1 || err1 == nil && no2:
				return []string{"one of them is missing: a new pair is needed"}, nil
			}
			return nil, err2
		},
		write: func(ctx context.Context) error {
			id := secret.NewIdentity()
			if err := s.Admin.PutVariable(ctx, private, id.PrivateKey()); err != nil {
				return err
			}
			return s.Admin.PutVariable(ctx, public, secret.New(id.Recipient()))
		},
	}
}
