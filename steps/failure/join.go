package failure

import "strings"

// Join returns one error of several, on one line: permanent only if each is, and of the first kind. It returns nil for
// none and the error itself for one.
func Join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	joined := &Error{Err: list(errs)}
	for _, err := range errs {
		joined.Transient = joined.Transient || !IsPermanent(err)
		if joined.Kind == "" {
			joined.Kind, joined.Facts = Describe(err)
		}
	}
	return joined
}

// list reads as "a; b", where errors.Join would break the line.
type list []error

func (l list) Unwrap() []error { return l }

func (l list) Error() string {
	texts := make([]string, len(l))
	for i, err := range l {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}
