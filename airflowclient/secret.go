package airflowclient

import "cmp"

// Secret is a password or a token, which no way of printing or marshalling shows. A nil Secret is an empty one.
type Secret interface {
	Reveal() string
	Empty() bool
}

// hidden is a Secret that fmt prints as an address, and that no encoder accepts.
type hidden func() string

func hide(text string) hidden { return func() string { return text } }

// Reveal returns the text.
func (h hidden) Reveal() string { return h() }

// Empty reports whether there is no text.
func (h hidden) Empty() bool { return h() == "" }

func orEmpty(s Secret) Secret { return cmp.Or(s, Secret(hide(""))) }
