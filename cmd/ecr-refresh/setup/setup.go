// Package setup creates in Airflow what the DAG needs, and checks the DAG's account; or it removes what it created.
package setup

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

// Differs is a kind of failure: an object is not what is wanted, and Setup may not change it.
const Differs failure.Kind = "object differs"

// Setup is what Airflow shall have.
type Setup struct {
	AWSAccount, Region string
	Registry           string // its host
	Login, GrantType   string // of the account that the Airflow connection has
	Password           secret.Secret
	KeyPair            bool // for encryption, where steps 1 and 2 may run on different hosts

	Admin   *airflowclient.Client
	Account *airflowclient.Client // with Login and Password
	Remove  bool                  // remove what is as Run would create it
	Force   bool                  // change what exists and differs; without it, nothing is removed
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
	State   string   `json:"state"` // there, created, would update …: see create and remove
	Differs []string `json:"differs"`
}

// Account is what the account of connection airflow-api may do beside what it must.
type Account struct {
	Login      string `json:"login"`
	SimpleRole string `json:"simple_role"` // "": another auth manager, which may have finer roles
	Variables  bool   `json:"may_read_variables"`
}

// Run creates and changes one object after the other, then checks the account; or it removes them. It goes on after one
// that fails, but begins only if the accounts that it needs can log in.
func (s Setup) Run(ctx context.Context) (Result, error) {
	result := Result{Objects: []Outcome{}}
	if _, err := s.Admin.SimpleRole(ctx); err != nil { // logs in
		return result, fmt.Errorf("use the admin account: %w", err)
	}
	settle, role := s.remove, ""
	if !s.Remove {
		var err error
		if role, err = s.Account.SimpleRole(ctx); err != nil {
			return result, fmt.Errorf("use the %s account: %w", names.AirflowConnection, err)
		}
		settle = s.create
	}
	var failures []error
	for _, o := range s.objects(ctx) {
		done, err := settle(ctx, o)
		if failure.Is(err, airflowclient.TokenRejected) {
			return result, err
		}
		result.Objects, failures = append(result.Objects, done), append(failures, err)
	}
	if !s.Remove {
		account, err := s.checkAccount(ctx, role)
		result.Account, failures = account, append(failures, err)
	}
	return result, last(failures)
}

// last logs all failures (nil is none) but the last, each with its hint, and returns that: permanent only if each is.
func last(failures []error) error {
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	for i, err := range failures {
		if i == len(failures)-1 {
			return &failure.Error{Err: err, Transient: !failure.IsPermanent(failure.Join(failures))}
		}
		slog.Error(err.Error(), steps.FailureKey, err)
	}
	return nil
}

// failed is the form of an error: verb, kind, id, cause.
const failed = "%s %s %q with the admin account: %w"

// object is one thing that Airflow shall have.
type object struct {
	kind, id string
	differs  []string     // what is to be changed of it
	err      error        // of reading it
	write    func() error // creates or updates it
}

// objects reads them.
func (s Setup) objects(ctx context.Context) []object {
	extra, _ := json.Marshal(map[string]string{"grant_type": s.GrantType})
	all := []object{
		s.pool(ctx),
		s.variable(ctx, names.AccountVariable, s.AWSAccount), s.variable(ctx, names.RegionVariable, s.Region),
		s.connection(ctx, airflowclient.Update{ID: names.AirflowConnection, Type: "http", Host: s.Account.BaseURL(),
			Login: s.Login, Password: s.Password, Extra: string(extra)}),
		s.connection(ctx, airflowclient.Update{ID: names.DockerConnection, Type: "docker", Host: s.Registry,
			Login: "AWS"}),
	}
	if s.KeyPair {
		all = append(all, s.keyPair(ctx))
	}
	return all
}

// create creates or updates an object where it may.
func (s Setup) create(_ context.Context, o object) (Outcome, error) {
	verb, missing := "update", errors.Is(o.err, airflowclient.ErrNotFound)
	if missing {
		verb = "create"
	}
	done := Outcome{o.kind, o.id, "failed", []string{}}
	if o.err == nil {
		done.Differs = append(done.Differs, o.differs...)
	}
	switch {
	case o.err != nil && !missing:
		return done, fmt.Errorf(failed, "read", o.kind, o.id, o.err)
	case !missing && len(o.differs) == 0:
		done.State = "there"
	case !missing && !s.Force:
		done.State = "differs"
		return done, failure.Permanent(Differs, "%s %q differs: %s", o.kind, o.id, strings.Join(o.differs, "; "))
	case s.DryRun:
		done.State = "would " + verb
	default:
		if err := o.write(); err != nil {
			return done, fmt.Errorf(failed, verb, o.kind, o.id, err)
		}
		done.State = verb + "d"
	}
	return done, nil
}

// remove removes an object, unless it differs from what create would make.
func (s Setup) remove(ctx context.Context, o object) (Outcome, error) {
	done := Outcome{o.kind, o.id, "failed", []string{}}
	switch {
	case errors.Is(o.err, airflowclient.ErrNotFound):
		done.State = "missing"
	case o.err != nil:
		return done, fmt.Errorf(failed, "read", o.kind, o.id, o.err)
	case len(o.differs) > 0:
		done.State, done.Differs = "stays", o.differs
	case s.DryRun || !s.Force:
		done.State = "would remove"
	default:
		resource := map[string]string{"pool": "Pools", "connection": "Connections"}[o.kind]
		for id := range strings.SplitSeq(o.id, ", ") {
			err := s.Admin.Delete(ctx, cmp.Or(resource, "Variables"), id)
			if err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
				return done, fmt.Errorf(failed, "remove", o.kind, id, err)
			}
		}
		done.State = "removed"
	}
	return done, nil
}

// pool may have any size, which is its owner's; it is removed only if nobody changed it.
func (s Setup) pool(ctx context.Context) object {
	want := airflowclient.Pool{Name: names.Pool, Slots: 5, Description: "System maintenance tasks"}
	is, err := s.Admin.Pool(ctx, names.Pool)
	var differs []string
	if s.Remove {
		differs = differ("slots", strconv.Itoa(is.Slots), strconv.Itoa(want.Slots),
			"description", is.Description, want.Description)
	}
	return object{"pool", names.Pool, differs, err, func() error { return s.Admin.CreatePool(ctx, want) }}
}

// variable is one whose value is no secret.
func (s Setup) variable(ctx context.Context, key, value string) object {
	var differs []string
	is, err := s.Admin.Variable(ctx, key)
	if is != value {
		differs = []string{"its value is not " + value}
	}
	return object{"Variable", key, differs, err, func() error {
		return s.Admin.PutVariable(ctx, key, value)
	}}
}

func (s Setup) connection(ctx context.Context, want airflowclient.Update) object {
	is, err := s.Admin.Connection(ctx, want.ID)
	differs := DockerDiffers(is, want.Host)
	if want.ID == names.AirflowConnection {
		differs = AirflowDiffers(is, want.Host, want.Login, s.GrantType)
		if is.Password == nil {
			differs = append(differs, "it has no password")
		} else if s.Force && !s.Remove {
			differs = append(differs, "the password is set again")
		}
	}
	if connection.GrantType(is.Extra.Raw()) == s.GrantType {
		want.Extra = "" // whatever else it has
	}
	return object{"connection", want.ID, differs, err, func() error { return s.Admin.PutConnection(ctx, want) }}
}

// AirflowDiffers compares the login of a connection and the URL that it leads to: several sets of host, port and schema
// have the same. The type may be any: without the HTTP provider, Airflow's command line makes "generic" of http.
func AirflowDiffers(is airflowclient.Connection, baseURL, login, grantType string) []string {
	parts := connection.Connection{Type: is.Type.Raw(), Schema: is.Schema.Raw(), Host: is.Host.Raw(), Port: port(is)}
	return differ("its URL", strings.TrimRight(parts.BaseURL(), "/"), baseURL, "login", is.Login.Raw(), login,
		"grant_type", connection.GrantType(is.Extra.Raw()), grantType)
}

// DockerDiffers compares a connection with what it has to be to log in at a registry. It leaves out the password, which
// the DAG sets.
func DockerDiffers(is airflowclient.Connection, host string) []string {
	return differ("type", is.Type.Raw(), "docker", "host", is.Host.Raw(), host,
		"port", port(is), "", "login", is.Login.Raw(), "AWS")
}

// differ compares fields: each is its name, what it is and what is wanted.
func differ(fields ...string) (differs []string) {
	for f := range slices.Chunk(fields, 3) {
		if f[1] != f[2] {
			differs = append(differs, fmt.Sprintf("%s is %.80q, want %q", f[0], untrusted.New(f[1]), f[2]))
		}
	}
	return differs
}

// port returns "" for none.
func port(of airflowclient.Connection) string { return strings.TrimPrefix(fmt.Sprint(of.Port), "0") }

// keyPair is one object of two Variables, since one without the other is of no use. It writes the private key first:
// with the public key alone, step 1 would encrypt what step 2 cannot decrypt.
func (s Setup) keyPair(ctx context.Context) object {
	const public, private = names.RecipientVariable, names.PrivateKeyVariable
	var differs []string
	_, err := s.Admin.Variable(ctx, public)
	_, other := s.Admin.Variable(ctx, private)
	no, noOther := errors.Is(err, airflowclient.ErrNotFound), errors.Is(other, airflowclient.ErrNotFound)
	switch {
	case no && other == nil || noOther && err == nil:
		if err = nil; !s.Remove {
			differs = []string{"one of them is missing: a new pair is needed"}
		}
	case no || err == nil:
		err = other
	}
	return object{"encryption key pair", public + ", " + private, differs, err, func() error {
		id := secret.NewIdentity()
		if err := s.Admin.PutVariable(ctx, private, id.PrivateKey().Reveal()); err != nil {
			return err
		}
		return s.Admin.PutVariable(ctx, public, id.Recipient())
	}}
}

// checkAccount tries what the DAG does. Then it tries to read a Variable, as those may who have one of FAB's own roles
// with these rights.
func (s Setup) checkAccount(ctx context.Context, role string) (*Account, error) {
	if err := MayUpdate(ctx, s.Account); err != nil {
		return nil, fmt.Errorf("check the %s account %q: %w", names.AirflowConnection, s.Login, err)
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
