// Package failure describes what went wrong as a kind with facts, and reports whether a retry may help. It holds no
// advice: only cmd turns a kind into a hint and an error into an exit code.
package failure

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind names what went wrong, as the table of hints in cmd knows it. "" is a kind without a hint.
type Kind string

// Facts are what a failure is about. Empty fields are not known.
type Facts struct {
	Object string // the connection, Variable, host or file
	Want   string // what Object should be, or have
}

// Error is a cause of one kind, with its facts.
type Error struct {
	Kind      Kind
	Facts     Facts
	Err       error
	Transient bool // a retry may help
}

// Error returns the cause alone: the hint is a line of its own.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent returns an error that a retry cannot help. The format is fmt.Errorf's, %w included.
func Permanent(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Transient returns an error that a retry may help.
func Transient(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...), Transient: true}
}

// About sets what the error is about: the connection, Variable, host or file.
func (e *Error) About(object string) *Error {
	e.Facts.Object = object
	return e
}

// Want sets what the object should be, or have.
func (e *Error) Want(want string) *Error {
	e.Facts.Want = want
	return e
}

// With returns err with facts, where the outermost *Error of its chain has none yet.
func With(err error, facts Facts) error {
	var e *Error
	if errors.As(err, &e) && e.Facts == (Facts{}) {
		e.Facts = facts
	}
	return err
}

// Join returns one error of several, on one line: permanent only if each is, and of the first kind. Of none it is nil.
func Join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	joined, list := &Error{}, make([]any, len(errs))
	for i, err := range errs {
		list[i] = err
		joined.Transient = joined.Transient || !IsPermanent(err)
		if joined.Kind == "" {
			joined.Kind, joined.Facts = Describe(err)
		}
	}
	joined.Err = fmt.Errorf("%w"+strings.Repeat("; %w", len(errs)-1), list...)
	return joined
}

// Describe returns the kind and facts of the outermost error in err's chain that has a kind, or zero values.
func Describe(err error) (Kind, Facts) {
	var e *Error
	for errors.As(err, &e) {
		if e.Kind != "" {
			return e.Kind, e.Facts
		}
		err = e.Err
	}
	return "", Facts{}
}

// WantOf returns the fact Want of the outermost *Error in err's chain, or otherwise where there is none.
func WantOf(err error, otherwise string) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return cmp.Or(e.Facts.Want, otherwise)
	}
	return otherwise
}

// Is reports whether err is of one of several kinds.
func Is(err error, kinds ...Kind) bool {
	kind, _ := Describe(err)
	return kind != "" && slices.Contains(kinds, kind)
}

// IsPermanent reports whether a retry cannot help, as the outermost *Error in err's chain says; without one it may.
func IsPermanent(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && !e.Transient
}

// ExitCode returns the exit code of a command: 0 for nil; 1 where a service failed, and the same command may succeed
// later; 2 where it fails again until usage, configuration or a permission is changed.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case IsPermanent(err):
		return 2
	}
	return 1
}
