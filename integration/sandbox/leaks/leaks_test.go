package leaks_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"ecr-refresh/integration/sandbox/leaks"
)

func TestIn(t *testing.T) {
	t.Parallel()
	const secret = "a/secret+of=more than%24&characters:in=all"
	pieces := leaks.Of(secret, "short", "")
	for _, text := range []string{
		secret, "x" + secret[5:5+leaks.Piece] + "y", url.QueryEscape(secret), url.PathEscape(secret), "is short.",
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte("AWS:" + secret)),
		base64.StdEncoding.EncodeToString([]byte("u:" + secret + "\n")),
	} {
		if pieces.In(text) < 0 {
			t.Errorf("nothing found in %q", text)
		}
	}
	for _, text := range []string{"", secret[:leaks.Piece-1], strings.Repeat("x", 100)} {
		if at := pieces.In(text); at >= 0 {
			t.Errorf("found at %d of %q", at, text)
		}
	}
}

// Each piece of each form is found wherever it begins, and at its place; one character less is none.
func TestEveryPiece(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("x", 7) + "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ/+="
	pieces := leaks.Of(secret)
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	for _, form := range []string{secret, url.QueryEscape(secret), strings.TrimRight(encoded, "=")} {
		for at := range len(form) - leaks.Piece + 1 {
			if got := pieces.In("<<" + form[at:at+leaks.Piece] + ">>"); got != 2 {
				t.Errorf("the piece at %d of %s was found at %d, want 2", at, form, got)
			}
			if got := pieces.In("<<" + form[at:at+leaks.Piece-1] + ">>"); got >= 0 {
				t.Errorf("less than a piece, at %d of %s, was found at %d", at, form, got)
			}
		}
	}
}
