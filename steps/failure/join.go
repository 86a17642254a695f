package failure

import (
	"fmt"
	"strings"
)

// Join returns one error of several, on one line: permanent only if each is, and of the first kind. It returns nil for
// none and the error itself for one.
func Join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	joined, list := &Error{}, make([]any, len(errs))
	for i, err := range errs {
		list[i] = err
		joined.Transient = joined.Transient || !IsPermanent(err)
		if joined.Kind == "" {
			joined.Kind, joined.Facts = Describe(err)
		}
	}
	joined.Err = fmt.Errorf("%w"+strings.Repeat("; %w", len(errs)-1), list...)
	return joined
}
