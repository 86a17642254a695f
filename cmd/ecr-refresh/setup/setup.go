// Package setup creates in Airflow what the DAG needs, or prints the commands that do, and checks the DAG's account.
package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/rights"
	"ecr-refresh/steps/failure"
)

// Differs is the kind of failure when an object differs from what is wanted, and Setup may not change it.
const Differs failure.Kind = "object differs"

// Setup is one run of the command.
type Setup struct {
	Wanted
	Admin   *airflowclient.Client
	Account *airflowclient.Client // with Login and Password
	Force   bool                  // change what exists and differs
	DryRun  bool                  // change nothing
	Out     io.Writer             // gets a line for each object as soon as it is done
	Log     *slog.Logger
}

// Result is what Run did and found.
type Result struct {
	Objects []Outcome `json:"objects"`
	Account *Account  `json:"account"` // null: not checked, since Airflow failed
}

// Outcome is what became of an object.
type Outcome struct {
	Kind    string   `json:"kind"`
	ID      string   `json:"id"`
	State   string   `json:"state"` // there, created, would create, differs, updated, would update, failed
	Differs []string `json:"differs"`
	Note    string   `json:"note"`
}

func (o Outcome) line() string {
	line := o.Kind + " " + o.ID + ": " + strings.Replace(o.State, "there", "is there", 1)
	if len(o.Differs) > 0 {
		line += ": " + strings.Join(o.Differs, "; ")
	}
	if o.Note != "" {
		line += " (" + o.Note + ")"
	}
	return failure.Clean(line)
}

// Account is what the account of connection airflow-api may do.
type Account struct {
	Login      string `json:"login"`
	SimpleRole string `json:"simple_role"` // "": another auth manager, which may have finer roles
	Variables  bool   `json:"may_read_variables"`
}

// Run creates and changes one object after the other, then checks the account. It goes on after an object that Airflow
// rejects, but not when Airflow is unavailable or rejects the admin's login.
func (s Setup) Run(ctx context.Context) (Result, error) {
	result := Result{Objects: []Outcome{}}
	if _, err := s.Admin.SimpleRole(ctx); err != nil { // logs in
		return result, err
	}
	var failures []error
	for _, o := range s.objects() {
		done, err := s.settle(ctx, o)
		result.Objects = append(result.Objects, done)
		_, unwritten := fmt.Fprintln(s.Out, done.line())
		if err = errors.Join(err, unwritten); err != nil {
			failures = append(failures, err)
		}
		if err != nil && !failure.IsPermanent(err) {
			return result, failure.Join(failures)
		}
	}
	account, err := s.checkAccount(ctx)
	if result.Account = &account; err != nil {
		failures = append(failures,
			fmt.Errorf("check account %q of connection %s: %w", s.Login, names.AirflowConnection, err))
	}
	return result, failure.Join(failures)
}

// settle looks at an object, and creates or updates it where it may.
func (s Setup) settle(ctx context.Context, o object) (Outcome, error) {
	done := Outcome{o.kind, o.id, "there", []string{}, ""}
	differs, note, err := o.look(ctx)
	missing, verb := errors.Is(err, airflowclient.ErrNotFound), "update"
	if missing {
		verb = "create"
	} else if err == nil {
		done.Differs, done.Note = append(done.Differs, differs...), note
	}
	switch {
	case err != nil && !missing:
		verb = "read"
	case !missing && len(differs) == 0:
		return done, nil
	case !missing && !s.Force:
		done.State = "differs"
		return done, failure.Permanent(Differs, "%s %q differs: %s", o.kind, o.id, strings.Join(differs, "; "))
	case s.DryRun:
		done.State = "would " + verb
		return done, nil
	default:
		done.State = verb + "d"
		err = o.write(ctx, missing)
	}
	if err != nil {
		done.State = "failed"
		err = fmt.Errorf("%s %s %q: %w", verb, o.kind, o.id, err)
	}
	return done, err
}

// checkAccount logs in and tries what the DAG does: read a connection, and update one that does not exist. Then it
// tries to read a Variable, as those may who have one of FAB's own roles with these two rights.
func (s Setup) checkAccount(ctx context.Context) (a Account, err error) {
	a.Login = s.Login
	if a.SimpleRole, err = s.Account.SimpleRole(ctx); err != nil {
		return a, err
	}
	_, err = s.Account.Connection(ctx, names.DockerConnection)
	if err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
		return a, err
	}
	if err = rights.UpdateConnections(ctx, s.Account); err != nil {
		return a, err
	}
	_, err = s.Account.Variable(ctx, names.AccountVariable)
	a.Variables = err == nil || errors.Is(err, airflowclient.ErrNotFound)
	may := fmt.Sprintf("%q can log in, read and update connections", a.Login)
	switch {
	case a.SimpleRole == "admin":
		s.Log.Warn(may+", and do everything else: it is an admin", "hint", "role op is enough (SimpleAuthManager)")
	case a.SimpleRole != "":
		s.Log.Info(fmt.Sprintf("%s; its role %s may do more, and no smaller one is enough: the roles of the "+
			"SimpleAuthManager are fixed", may, a.SimpleRole))
	case a.Variables:
		s.Log.Warn(may+", and read Variables, which is not needed", "hint",
			"give it a role of its own, and no other: airflow users remove-role, and ecr-refresh setup --print-cli")
	default:
		s.Log.Info(may + ", and nothing more was found")
	}
	return a, nil
}
