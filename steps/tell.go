package steps

import (
	"fmt"
	"log/slog"

	"ecr-refresh/steps/failure"
)

// tell writes what went wrong with one target, where the step goes on with the others.
func tell(log *slog.Logger, err error) {
	var hint []any
	if text := failure.Hint(err); text != "" {
		hint = []any{"hint", text}
	}
	log.Error(err.Error(), hint...)
}

// told gives one error as it is. Several get a line each, and one error for all of them.
func told(log *slog.Logger, errs []error) error {
	joined := failure.Join(errs)
	if len(errs) < 2 {
		return joined
	}
	for _, err := range errs {
		tell(log, err)
	}
	return &failure.Error{Err: fmt.Errorf("%d targets failed", len(errs)), Hint: "each has a line above", Permanent: failure.IsPermanent(joined)}
}
