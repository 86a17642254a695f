package failure

import "strings"

// Join makes one error of several, on one line: permanent only if each is, with the first hint. It gives nil for none
// and the error itself for one.
func Join(errs []error) error {
	if len(errs) < 2 {
		return first(errs)
	}
	joined := &Error{Err: list(errs), Permanent: true}
	for _, err := range errs {
		joined.Permanent = joined.Permanent && IsPermanent(err)
		if joined.Hint == "" {
			joined.Hint = Hint(err)
		}
	}
	return joined
}

func first(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
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
