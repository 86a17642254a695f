// Package leaks looks for secrets, and for pieces of them, in what programs write.
package leaks

import (
	"encoding/base64"
	"maps"
	"net/url"
	"strings"
)

// Piece is how many characters of a secret in a row are too many to show.
const Piece = 24

// Pieces holds every piece of some secrets, in each form in which a program may show one.
type Pieces map[string]bool

// Of gives the pieces of secrets: as they are, URL-quoted, and as base64 of a text that has them at any offset. A secret
// shorter than a piece is one piece; an empty one is none.
func Of(secrets ...string) Pieces {
	all := Pieces{}
	for _, secret := range secrets {
		if secret != "" {
			maps.Copy(all, of(secret))
		}
	}
	return all
}

func of(secret string) Pieces {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	for offset := range min(3, len(secret)) {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, encoding.EncodeToString([]byte(secret[offset:])))
		}
	}
	all := Pieces{}
	for _, form := range forms {
		for i := range max(1, len(form)-Piece+1) {
			all[form[i:min(i+Piece, len(form))]] = true
		}
	}
	return all
}

// In gives the place of the first piece in text, or -1. It never gives the piece.
func (p Pieces) In(text string) int {
	for i := 0; i+Piece <= len(text); i++ {
		if p[text[i:i+Piece]] {
			return i
		}
	}
	for short := range p {
		if len(short) < Piece {
			if at := strings.Index(text, short); at >= 0 {
				return at
			}
		}
	}
	return -1
}
