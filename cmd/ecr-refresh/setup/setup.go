// Package setup creates in Airflow what the DAG needs, and checks the DAG's account.
package setup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// Why Setup fails.
const (
	Differs     failure.Kind = "object differs" // from what is wanted, and Setup may not change it
	CannotLogIn failure.Kind = "account cannot log in"
)

// Setup is what Airflow shall have.
type Setup struct {
	Registry  string      // its host
	Variables [][2]string // keys and values, which are no secrets
	BaseURL   string      // of Airflow's API, without a slash at its end
	Login     string      // of the account that the Airflow connection has
	Password  airflowclient.Secret
	KeyPair   bool // for encryption, where steps 1 and 2 may run on different hosts

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
	var e *airflowclient.Error
	if _, err := s.Account.SimpleRole(ctx); errors.As(err, &e) && e.Kind == airflowclient.LoginRejected {
		const form = "account %q of connection %s cannot log in: %w"
		return result, failure.Permanent(CannotLogIn, form, s.Login, names.AirflowConnection, e)
	}
	var failures []error
	for _, o := range s.objects() {
		done, err := o(ctx)
		if errors.As(err, &e) && e.Kind == airflowclient.TokenRejected {
			return result, err
		}
		if result.Objects = append(result.Objects, done); err != nil {
			failures = append(failures, err)
		}
	}
	account, err := s.checkAccount(ctx)
	if err != nil {
		err = fmt.Errorf("check the %s account %q: %w", names.AirflowConnection, s.Login, err)
		return result, last(append(failures, err))
	}
	result.Account = &account
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

// checkAccount logs in and tries what the DAG does: read a connection, and update one that does not exist. Then it
// tries to read a Variable, as those may who have one of FAB's own roles with these two rights.
func (s Setup) checkAccount(ctx context.Context) (Account, error) {
	role, err := s.Account.SimpleRole(ctx)
	if err != nil {
		return Account{}, err // the calls below would log in again
	}
	_, err = s.Account.Connection(ctx, names.DockerConnection)
	if err == nil || errors.Is(err, airflowclient.ErrNotFound) {
		err = MayUpdate(ctx, s.Account)
	}
	_, no := s.Account.Variable(ctx, names.AccountVariable)
	return Account{s.Login, role, no == nil || errors.Is(no, airflowclient.ErrNotFound)}, err
}

// MayUpdate returns nil if the account may update connections. It tries that on a connection that does not exist:
// Airflow checks the right first.
func MayUpdate(ctx context.Context, account *airflowclient.Client) error {
	id := "ecr_refresh_probe_" + rand.Text()
	probe := airflowclient.Update{ID: id, Type: "docker", Password: secret.New(rand.Text())}
	err := account.UpdateConnections(ctx, []airflowclient.Update{probe})[id]
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
		fmt.Fprintln(&text, failure.Clean(line))
	}
	if r.Account != nil {
		fmt.Fprintln(&text, failure.Clean(r.Account.text()))
	}
	return []byte(text.String())
}

func (a Account) text() string {
	more := ", and nothing more was found"
	switch {
	case a.SimpleRole == "admin":
		more = "; its role is admin, and op is enough"
	case a.SimpleRole != "":
		more = "; its role is " + a.SimpleRole
	case a.Variables:
		more = ", and read Variables, which is not needed: give it a role of its own, and no other"
	}
	return names.AirflowConnection + " account " + a.Login + ": can log in, read and update connections" + more
}
