package input

import (
	"sync/atomic"
	"time"

	"ecr-refresh/steps/failure"
)

// ReadsAWS is what to note where AWS's SDK reads its files.
const ReadsAWS = "reads AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE or a file that these name"

// grace is how long a command may take beside --timeout: it logs out, and doctor looks at a run that goes on.
const grace = 10 * time.Second

// deadline is when a command is ended from outside, and what it does until then.
type deadline struct {
	timer *time.Timer
	doing atomic.Value
}

// InTime returns what do returns, or an error some time after --timeout, whatever do waits for then: a library may read
// a pipe that nobody writes to.
func (r *Reader) InTime(do func() error) error {
	limit, _ := time.ParseDuration(r.Optional(r.Timeout)) // Duration reports one that is malformed
	r.Doing("reads its inputs")
	r.end.timer = time.NewTimer(limit + grace)
	defer r.end.timer.Stop()
	return Within(r.end.timer.C, do, func() error {
		return failure.Transient(NoFile, "run %s: no end in time: it still %s", r.Command.HelpName, r.end.doing.Load())
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

// Doing notes what is done from here on, which may take long.
func (r *Reader) Doing(what string) { r.end.doing.Store(what) }

// Began restarts the time of InTime: the inputs are read, for which a person may have been asked.
func (r *Reader) Began(limit time.Duration) {
	r.Doing("asks services, or " + ReadsAWS)
	r.end.timer.Reset(limit + grace)
}
