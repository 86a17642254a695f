// Package setup creates in Airflow what the DAG needs, and checks the DAG's account.
package setup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

// Why Setup fails.
const (
	Differs     failure.Kind = "object differs" // from what is wanted, and Setup may not change it
	CannotLogIn failure.Kind = "account cannot log in"
)

// Setup is what Airflow shall have.
type Setup struct {
	AWSAccount, Region string
	Registry           string // its host
	Login              string // of the account that the Airflow connection has
	Password           airflowclient.Secret
	KeyPair            bool // for encryption, where steps 1 and 2 may run on different hosts

	Admin   *airflowclient.Client
	Account *airflowclient.Client // with Login and Password
	Force   bool                  // change what exists and differs
	DryRun  bool                  // change nothing
}

// Result is what Run did and found.
type Result struct {
	Objects []Outcome `json:"objects"`
	Account *Account  `json:"account"` // null: not checked, or it may not do what it must
}

// Outcome is what became of an object.
type Outcome struct {
	Kind    string   `json:"kind"`
	ID      string   `json:"id"`
	State   string   `json:"state"` // there, created, would create, differs, updated, would update, failed
	Differs []string `json:"differs"`
}

// Account is what the account of connection airflow-api may do beside what it must.
type Account struct {
	Login      string `json:"login"`
	SimpleRole string `json:"simple_role"` // "": another auth manager, which may have finer roles
	Variables  bool   `json:"may_read_variables"`
}

// Run creates and changes one object after the other, then checks the account. It goes on after one that fails, but not
// without the admin's login, and stores no login that Airflow rejects.
func (s Setup) Run(ctx context.Context) (Result, error) {
	result := Result{Objects: []Outcome{}}
	if _, err := s.Admin.SimpleRole(ctx); err != nil { // logs in
		return result, fmt.Errorf("use the admin account: %w", err)
	}
	role, err := s.Account.SimpleRole(ctx)
	if e, ok := errors.AsType[*airflowclient.Error](err); ok && e.Kind == airflowclient.LoginRejected {
		const form = "account %q of connection %s cannot log in: %w"
		return result, failure.Permanent(CannotLogIn, form, s.Login, names.AirflowConnection, e)
	}
	var failures []error
	for _, o := range s.objects() {
		done, err := o(ctx)
		if e, ok := errors.AsType[*airflowclient.Error](err); ok && e.Kind == airflowclient.TokenRejected {
			return result, err
		}
		if result.Objects = append(result.Objects, done); err != nil {
			failures = append(failures, err)
		}
	}
	if result.Account, err = s.checkAccount(ctx, role); err != nil {
		err = fmt.Errorf("check the %s account %q: %w", names.AirflowConnection, s.Login, err)
		failures = append(failures, err)
	}
	return result, last(failures)
}

// last logs all failures but the last, each with its hint, and returns that one: permanent only if each is.
func last(failures []error) error {
	for i, err := range failures {
		if i == len(failures)-1 {
			return &failure.Error{Err: err, Transient: !failure.IsPermanent(failure.Join(failures))}
		}
		slog.Error(err.Error(), steps.FailureKey, err)
	}
	return nil
}

// object creates or updates one thing that Airflow shall have.
type object func(context.Context) (Outcome, error)

func (s Setup) objects() []object {
	all := []object{
		s.pool, s.variable(names.AccountVariable, s.AWSAccount), s.variable(names.RegionVariable, s.Region),
		s.airflowConnection, s.dockerConnection,
	}
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
			return s.Admin.PutVariable(ctx, key, value)
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
	base := s.Account.BaseURL()
	is, err := s.Admin.Connection(ctx, id)
	differs := AirflowDiffers(is, base, s.Login)
	if is.Password == nil {
		differs = append(differs, "it has no password")
	} else if s.Force {
		differs = append(differs, "the password is set again")
	}
	return s.settle("connection", id, differs, err, func() error {
		want := airflowclient.Update{ID: id, Type: "http", Host: base, Login: s.Login, Password: s.Password}
		return s.Admin.PutConnection(ctx, want)
	})
}

// AirflowDiffers compares the login of a connection and the URL that it leads to: several sets of host, port and schema
// have the same. The type may be any: without the HTTP provider, Airflow's command line makes "generic" of http.
func AirflowDiffers(is airflowclient.Connection, baseURL, login string) []string {
	parts := connection.Connection{Type: is.Type.Raw(), Schema: is.Schema.Raw(), Host: is.Host.Raw(), Port: port(is)}
	url, _ := parts.BaseURL()
	return differ("its URL", strings.TrimRight(url, "/"), baseURL, "login", is.Login.Raw(), login)
}

// DockerDiffers compares a connection with what it has to be to log in at a registry. It leaves out the password, which
// the DAG sets.
func DockerDiffers(is airflowclient.Connection, host string) []string {
	return differ("type", is.Type.Raw(), "docker", "host", is.Host.Raw(), host, "port", port(is), "",
		"login", is.Login.Raw(), "AWS")
}

// differ compares fields: each is its name, what it is and what is wanted.
func differ(fields ...string) (differs []string) {
	for f := range slices.Chunk(fields, 3) {
		if f[1] != f[2] {
			differs = append(differs, fmt.Sprintf("%s is %q, want %q", f[0], untrusted.New(f[1]), f[2]))
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
		if err := s.Admin.PutVariable(ctx, private, id.PrivateKey().Reveal()); err != nil {
			return err
		}
		return s.Admin.PutVariable(ctx, public, id.Recipient())
	})
}

// checkAccount tries what the DAG does. Then it tries to read a Variable, as those may who have one of FAB's own roles
// with these rights.
func (s Setup) checkAccount(ctx context.Context, role string) (*Account, error) {
	if err := MayUpdate(ctx, s.Account); err != nil {
		return nil, err
	}
	_, err := s.Account.Variable(ctx, names.AccountVariable)
	return &Account{s.Login, role, err == nil || errors.Is(err, airflowclient.ErrNotFound)}, nil
}

// MayUpdate returns nil if the account may read and update connections. It tries that on one that does not exist:
// Airflow checks the right first.
func MayUpdate(ctx context.Context, account *airflowclient.Client) error {
	id := "ecr_refresh_probe_" + rand.Text()
	probe := airflowclient.Update{ID: id, Type: "docker", Password: secret.New(rand.Text())}
	_, err := account.Connection(ctx, id)
	if errors.Is(err, airflowclient.ErrNotFound) {
		err = account.UpdateConnections(ctx, []airflowclient.Update{probe})[id]
	}
	if errors.Is(err, airflowclient.ErrNotFound) {
		return nil
	}
	return err
}

// Text returns the result for a person.
func (r Result) Text() []byte {
	var text strings.Builder
	for _, o := range r.Objects {
		line := o.Kind + " " + o.ID + ": " + strings.Replace(o.State, "there", "is there", 1)
		if len(o.Differs) > 0 {
			line += ": " + strings.Join(o.Differs, "; ")
		}
		fmt.Fprintln(&text, untrusted.Clean(line))
	}
	if a := r.Account; a != nil {
		more := ", and nothing more was found"
		if a.SimpleRole != "" {
			more = "; its role is " + a.SimpleRole + " (op is enough)"
		} else if a.Variables {
			more = ", and read Variables, which is not needed: give it a role of its own, and no other"
		}
		const can = " account %s: can log in, read and update connections%s"
		fmt.Fprintln(&text, untrusted.Clean(fmt.Sprintf(names.AirflowConnection+can, a.Login, more)))
	}
	return []byte(text.String())
}
