package steps

import "golang.org/x/sync/errgroup"

// concurrency is how many calls to registries, ECR or Docker are made at once.
const concurrency = 16

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
