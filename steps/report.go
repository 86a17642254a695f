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

// verdict returns an error if nothing succeeded: the only one, or one that stands for all. Otherwise the failures go on
// in the result. It logs each error that it does not return.
func verdict(log *slog.Logger, succeeded int, errs []error) error {
	joined := failure.Join(errs)
	if succeeded == 0 && len(errs) < 2 {
		return joined
	}
	for _, err := range errs {
		log.Error(err.Error(), FailureKey, err)
	}
	if succeeded > 0 {
		return nil
	}
	many := failure.Permanent(ManyFailed, "%d targets failed", len(errs))
	many.Transient = !failure.IsPermanent(joined)
	return many
}

func failureOf(step, connectionID string, t secret.Token, err error) xcom.Failure {
	return xcom.Failure{ConnectionID: connectionID, RegistryURL: t.RegistryURL, Step: step, Error: err.Error()}
}
