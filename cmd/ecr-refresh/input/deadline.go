package input

import (
	"time"

	"ecr-refresh/steps/failure"
)

// grace is how long a command may take beside --timeout: it logs out, and doctor looks at a run that goes on.
const grace = 10 * time.Second

// InTime returns what do returns, or an error some time after --timeout, whatever do waits for then: a library may read
// a pipe that nobody writes to.
func (r *Reader) InTime(do func() error) error {
	limit, _ := time.ParseDuration(r.Optional(r.Timeout)) // Duration reports one that is malformed
	r.end = time.NewTimer(limit + grace)
	defer r.end.Stop()
	return Within(r.end.C, do, func() error {
		const form = "run %s: no end in time: stdin, or a file that it reads, may have none"
		return failure.Transient(NoFile, form, r.Command.HelpName)
	})
}

// Within returns what do returns, or what late returns if the end comes first: nobody waits for do any more.
func Within(end <-chan time.Time, do, late func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-end:
		return late()
	}
}

// Began restarts the time of InTime: the inputs are read, for which a person may have been asked.
func (r *Reader) Began(limit time.Duration) { r.end.Reset(limit + grace) }
