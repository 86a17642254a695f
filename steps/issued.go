package steps

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// concurrency is how many calls to registries, ECR or Docker are made at once.
const concurrency = 16

// issued is a token at one registry and the connections that it is for, or why there is none.
type issued struct {
	token       secret.Token
	connections []string
	err         error
}

// checkAll asks each registry whether it accepts its token.
func checkAll(ctx context.Context, client *registry.Client, log *slog.Logger, all []*issued) {
	inParallel(all, func(i *issued) {
		if i.err == nil {
			i.err = client.Check(ctx, i.token.RegistryURL, i.token.Username, i.token.Password)
		}
	})
	for _, i := range all {
		if i.err == nil {
			log.Info(fmt.Sprintf("%s accepts the token", registry.Host(i.token.RegistryURL)))
		}
	}
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
