package steps

import (
	"log/slog"

	"ecr-refresh/steps/failure"
)

// FailureKey is the key of a log record's attribute that holds the error, so that cmd can add its hint.
const FailureKey = "failure"

// logFailure writes what went wrong with one target, where the step goes on with the others.
func logFailure(log *slog.Logger, err error) { log.Error(err.Error(), FailureKey, err) }

// joinLogged returns one error as it is. Several get a line each, and one error for all of them.
func joinLogged(log *slog.Logger, errs []error) error {
	joined := failure.Join(errs)
	if len(errs) < 2 {
		return joined
	}
	for _, err := range errs {
		logFailure(log, err)
	}
	if failure.IsPermanent(joined) {
		return failure.Permanent(ManyFailed, "%d targets failed", len(errs))
	}
	return failure.Transient(ManyFailed, "%d targets failed", len(errs))
}

// ManyFailed is the kind of an error that stands for several, each of which has a line in the log.
const ManyFailed failure.Kind = "each has a line above"
