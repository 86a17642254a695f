// Package failure gives an error the two things a person needs beside its cause: a hint (what to do next) and
// whether a retry can help. Every package of ecr-refresh that talks to a peer or reads an input returns such errors;
// only cmd turns them into exit codes.
package failure

import (
	"errors"
	"fmt"
)

// The exit codes of a failed command. Airflow retries on any code but 0 and 99 (BashOperator's skip_on_exit_code).
const (
	ExitRetry     = 1 // a peer failed: the same command may succeed later
	ExitPermanent = 2 // usage, configuration or permission: the same command fails again until somebody changes something
)

// Error is a cause with a hint. The zero Hint prints nothing.
type Error struct {
	Err       error
	Hint      string
	Permanent bool
}

// Error gives the cause alone: the hint is a line of its own.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Permanent makes an error that a retry cannot help. The format is fmt.Errorf's, %w included.
func Permanent(hint, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Hint: hint, Permanent: true}
}

// Transient makes an error that a retry may help.
func Transient(hint, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Hint: hint}
}

// Hint gives the outermost hint in err's chain, or "".
func Hint(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// IsPermanent tells whether a retry cannot help. An error of unknown kind may be helped by one.
func IsPermanent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Permanent
}

// ExitCode gives 0 for nil, ExitPermanent or ExitRetry.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case IsPermanent(err):
		return ExitPermanent
	}
	return ExitRetry
}
