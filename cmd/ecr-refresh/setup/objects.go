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
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// object creates or updates one thing that Airflow shall have.
type object func(context.Context) (Outcome, error)

func (s Setup) objects() []object {
	all := []object{s.pool}
	for _, v := range s.Variables {
		all = append(all, s.variable(v[0], v[1]))
	}
	all = append(all, s.airflowConnection, s.dockerConnection)
	if s.KeyPair {
		all = append(all, s.keyPair)
	}
	return all
}

// settle creates or updates an object where it may; err is of reading it, and differs what is to be changed.
func (s Setup) settle(kind, id string, differs []string, err error, write func() error) (Outcome, error) {
	const failed = "%s %s %q with the admin account: %w"
	verb, missing := "update", errors.Is(err, airflowclient.ErrNotFound)
	if missing {
		verb = "create"
	}
	if err != nil {
		differs = nil
	}
	done := Outcome{kind, id, "failed", append([]string{}, differs...)}
	switch {
	case err != nil && !missing:
		return done, fmt.Errorf(failed, "read", kind, id, err)
	case !missing && len(differs) == 0:
		done.State = "there"
	case !missing && !s.Force:
		done.State = "differs"
		return done, failure.Permanent(Differs, "%s %q differs: %s", kind, id, strings.Join(differs, "; "))
	case s.DryRun:
		done.State = "would " + verb
	default:
		if err := write(); err != nil {
			return done, fmt.Errorf(failed, verb, kind, id, err)
		}
		done.State = verb + "d"
	}
	return done, nil
}

func (s Setup) pool(ctx context.Context) (Outcome, error) {
	_, err := s.Admin.Pool(ctx, names.Pool) // it may have any size: that is its owner's
	return s.settle("pool", names.Pool, nil, err, func() error {
		pool := airflowclient.Pool{Name: names.Pool, Slots: 5, Description: "System maintenance tasks"}
		return s.Admin.CreatePool(ctx, pool)
	})
}

// variable is one whose value is no secret.
func (s Setup) variable(key, value string) object {
	return func(ctx context.Context) (Outcome, error) {
		var differs []string
		is, err := s.Admin.Variable(ctx, key)
		if is.Reveal() != value {
			differs = []string{"its value is not " + value}
		}
		return s.settle("Variable", key, differs, err, func() error {
			return s.Admin.PutVariable(ctx, key, secret.New(value))
		})
	}
}

func (s Setup) dockerConnection(ctx context.Context) (Outcome, error) {
	want := airflowclient.Update{ID: names.DockerConnection, Type: "docker", Host: s.Registry, Login: "AWS"}
	is, err := s.Admin.Connection(ctx, want.ID)
	return s.settle("connection", want.ID, DockerDiffers(is, s.Registry), err, func() error {
		return s.Admin.PutConnection(ctx, want)
	})
}

func (s Setup) airflowConnection(ctx context.Context) (Outcome, error) {
	const id = names.AirflowConnection
	is, err := s.Admin.Connection(ctx, id)
	differs := AirflowDiffers(is, s.BaseURL, s.Login)
	if is.Password == nil {
		differs = append(differs, "it has no password")
	} else if s.Force {
		differs = append(differs, "the password is set again")
	}
	return s.settle("connection", id, differs, err, func() error {
		want := airflowclient.Update{ID: id, Type: "http", Host: s.BaseURL, Login: s.Login, Password: s.Password}
		return s.Admin.PutConnection(ctx, want)
	})
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
func (s Setup) keyPair(ctx context.Context) (Outcome, error) {
	const public, private = names.RecipientVariable, names.PrivateKeyVariable
	var differs []string
	_, err := s.Admin.Variable(ctx, public)
	_, other := s.Admin.Variable(ctx, private)
	no, noOther := errors.Is(err, airflowclient.ErrNotFound), errors.Is(other, airflowclient.ErrNotFound)
	switch {
	case no && other == nil || noOther && err == nil:
		differs, err = []string{"one of them is missing: a new pair is needed"}, nil
	case no || err == nil:
		err = other
	}
	return s.settle("encryption key pair", public+", "+private, differs, err, func() error {
		id := secret.NewIdentity()
		if err := s.Admin.PutVariable(ctx, private, id.PrivateKey()); err != nil {
			return err
		}
		return s.Admin.PutVariable(ctx, public, secret.New(id.Recipient()))
	})
}
