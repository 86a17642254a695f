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
	inParallel(len(all), func(i int) {
		if t := all[i].token; all[i].err == nil {
			all[i].err = client.Check(ctx, t.RegistryURL, t.Username, t.Password)
		}
	})
	for _, i := range all {
		if i.err == nil {
			log.Info(fmt.Sprintf("%s accepts the token", registry.Host(i.token.RegistryURL)))
		}
	}
}

// inParallel calls do for each of 0 to n-1, and returns when all are done.
func inParallel(n int, do func(i int)) {
	var calls errgroup.Group
	calls.SetLimit(concurrency)
	for i := range n {
		calls.Go(func() error {
			do(i)
			return nil
		})
	}
	_ = calls.Wait() // no call returns an error
}
