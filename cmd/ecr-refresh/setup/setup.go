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
	State   string   `json:"state"` // there, created, would create, differs, updated, would update, failed, not tried
	Differs []string `json:"differs"`
	Note    string   `json:"note"`
}

func (o Outcome) line() string {
	line := o.Kind + " " + o.ID + ": " + o.State
	if o.State == "there" {
		line = o.Kind + " " + o.ID + ": is there"
	}
	if len(o.Differs) > 0 {
		line += ": " + strings.Join(o.Differs, "; ")
	}
	if o.Note != "" {
		line += " (" + o.Note + ")"
	}
	return failure.Clean(line)
}

// Run creates and changes one object after the other, then checks the account. It goes on after an object that Airflow
// rejects, but not when Airflow is unavailable or rejects the admin's login.
func (s Setup) Run(ctx context.Context) (result Result, err error) {
	var failures []error
	down := false
	for _, o := range s.objects() {
		done := Outcome{o.kind, o.id, "not tried", []string{}, ""}
		if !down {
			if done, err = s.settle(ctx, o); err != nil {
				failures = append(failures, err)
				down = !failure.IsPermanent(err) || !s.adminLogsIn(ctx)
			}
		}
		result.Objects = append(result.Objects, done)
		if _, err := fmt.Fprintln(s.Out, done.line()); err != nil {
			failures = append(failures, err)
		}
	}
	if err := failure.Join(failures); err == nil || failure.IsPermanent(err) {
		account, err := s.checkAccount(ctx)
		result.Account = &account
		if err != nil {
			err = fmt.Errorf("check account %q of connection %s: %w", s.Login, names.AirflowConnection, err)
			failures = append(failures, err)
		}
	}
	return result, failure.Join(failures)
}

func (s Setup) adminLogsIn(ctx context.Context) bool {
	_, err := s.Admin.SimpleRole(ctx)
	return err == nil
}

// settle looks at an object, and creates or updates it where it may.
func (s Setup) settle(ctx context.Context, o object) (Outcome, error) {
	done := Outcome{o.kind, o.id, "there", []string{}, ""}
	differs, note, err := o.look(ctx)
	missing := errors.Is(err, airflowclient.ErrNotFound)
	write, verb := o.update, "update"
	if missing {
		write, verb = o.create, "create"
	}
	if err == nil {
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
		err = write(ctx)
	}
	if err != nil {
		done.State = "failed"
		err = fmt.Errorf("%s %s %q: %w", verb, o.kind, o.id, err)
	}
	return done, err
}

// Commands returns the commands that create the account's role, where the auth manager has such roles.
func (r Result) Commands() []byte {
	if r.Account == nil || r.Account.SimpleRole != "" {
		return nil
	}
	return []byte(roleText(r.Account.Commands))
}
