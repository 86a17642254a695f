// Package leaks looks for secrets, and for pieces of them, in what programs write.
package leaks

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// Piece is how many characters of a secret in a row are too many to show.
const Piece = 20

// block is the length of what is looked up. Every piece of a form has a whole block that begins at a multiple of it.
const block = Piece / 2

// Pieces is every piece of some secrets, in each form in which a program may show one. The zero value has none.
type Pieces struct {
	blocks map[string][]place // by the block's text
	short  []string           // forms that are shorter than a piece: each is one piece
}

// place is where a block stands in a form.
type place struct {
	form string
	at   int
}

// Of returns the pieces of secrets: as they are, URL-quoted, as base64 of a text that has them at any offset, and
// decoded where they are base64, as ECR's tokens are. A secret shorter than a piece is one piece; an empty one is none.
func Of(secrets ...string) Pieces {
	var p Pieces
	p.Add(secrets...)
	return p
}

// Add adds the pieces of more secrets.
func (p *Pieces) Add(secrets ...string) {
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		for i, form := range forms(secret) {
			if i == 0 || form != secret { // most secrets need no quoting
				p.add(form)
			}
		}
	}
}

func forms(secret string) []string {
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	if decoded, err := base64.StdEncoding.DecodeString(secret); err == nil && len(decoded) >= Piece {
		all = append(all, string(decoded))
	}
	for offset := range min(3, len(secret)) {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			all = append(all, encoding.EncodeToString([]byte(secret[offset:])))
		}
	}
	return all
}

func (p *Pieces) add(form string) {
	if len(form) < Piece {
		p.short = append(p.short, form)
		return
	}
	if p.blocks == nil {
		p.blocks = map[string][]place{}
	}
	for at := 0; at+block <= len(form); at += block {
		key := form[at : at+block]
		p.blocks[key] = append(p.blocks[key], place{form, at})
	}
}

// In returns the place of a piece in text, or -1. It never returns the piece.
func (p Pieces) In(text string) int {
	for i := 0; i+block <= len(text); i++ {
		for _, found := range p.blocks[text[i:i+block]] {
			if before, length := found.shared(text, i); length >= Piece {
				return i - before
			}
		}
	}
	for _, short := range p.short {
		if at := strings.Index(text, short); at >= 0 {
			return at
		}
	}
	return -1
}

// shared returns how much of the form stands in text around i, where the block stands: the characters before i, and
// all.
func (p place) shared(text string, i int) (before, length int) {
	for before < min(i, p.at) && text[i-before-1] == p.form[p.at-before-1] {
		before++
	}
	after := block
	for i+after < len(text) && p.at+after < len(p.form) && text[i+after] == p.form[p.at+after] {
		after++
	}
	return before, before + after
}
