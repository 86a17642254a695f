package steps

import (
	"log/slog"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// FailureKey is the key of a log record's attribute that holds the error, so that cmd can add its hint.
const FailureKey = "failure"

// ManyFailed is the kind of an error that stands for several, each of which has a line in the log.
const ManyFailed failure.Kind = "several targets failed"

// logFailure writes what went wrong with one target, where the step goes on with the others.
func logFailure(log *slog.Logger, err error) { log.Error(err.Error(), FailureKey, err) }

// joinLogged returns one error as it is. It logs several, and returns one error for all of them.
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

// verdict returns an error if nothing succeeded. Otherwise it logs the errors, and the failures go on in the result.
func verdict(log *slog.Logger, succeeded int, errs []error) error {
	if succeeded == 0 {
		return joinLogged(log, errs)
	}
	for _, err := range errs {
		logFailure(log, err)
	}
	return nil
}

func failureOf(step, connectionID string, t secret.Token, err error) xcom.Failure {
	return xcom.Failure{ConnectionID: connectionID, RegistryURL: t.RegistryURL, Step: step, Error: err.Error()}
}
