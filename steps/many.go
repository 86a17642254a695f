package steps

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/sync/errgroup"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// FailureKey is the key of a log record's attribute that holds the error, so that cmd can add its hint.
const FailureKey = "failure"

// ManyFailed is the kind of an error that stands for several, each of which has a line in the log.
const ManyFailed failure.Kind = "several targets failed"

// concurrency is how many calls to registries, ECR or Docker are made at once.
const concurrency = 16

// maxErrors bounds how many errors a step logs, each of which may be about what somebody has put into an XCom.
const maxErrors = 50

// issued is a token at one registry and the connections that it is for, or why there is none.
type issued struct {
	token       secret.Token
	connections []string
	err         error
}

// failure returns what the result carries on for one of the connections.
func (i issued) failure(step, connectionID string, err error) xcom.Failure {
	return xcom.Failure{ConnectionID: connectionID, RegistryURL: i.token.RegistryURL, Step: step, Error: err.Error()}
}

// checkAll asks each registry whether it accepts its token.
func checkAll(ctx context.Context, client *registry.Client, log *slog.Logger, all []*issued) {
	inParallel(all, func(i *issued) {
		if i.err == nil {
			i.err = client.Check(ctx, i.token.RegistryURL, i.token.Username, i.token.Password)
		}
		if i.err == nil {
			log.Info(fmt.Sprintf("%s accepts the token", registry.Host(i.token.RegistryURL)))
		}
	})
}

// inParallel calls do for each of all, and returns when all are done.
func inParallel[T any](all []T, do func(T)) {
	var calls errgroup.Group
	calls.SetLimit(concurrency)
	for _, one := range all {
		calls.Go(func() error {
			do(one)
			return nil
		})
	}
	_ = calls.Wait() // no call returns an error
}

// verdict returns an error if nothing succeeded: the only one, or one that stands for all. Otherwise the failures go on
// in the result. It logs each error that it does not return, once for all connections of a registry.
func verdict(log *slog.Logger, succeeded int, errs []error) error {
	errs = slices.Compact(errs)
	joined := failure.Join(errs)
	if succeeded == 0 && len(errs) < 2 {
		return joined
	}
	for i, err := range errs {
		if i == maxErrors {
			log.Error(fmt.Sprintf("%d more targets failed", len(errs)-i))
			break
		}
		log.Error(err.Error(), FailureKey, err)
	}
	if succeeded > 0 {
		return nil
	}
	err := fmt.Errorf("%d targets failed", len(errs))
	return &failure.Error{Kind: ManyFailed, Err: err, Transient: !failure.IsPermanent(joined)}
}
