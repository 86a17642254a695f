package leaks_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"ecr-refresh/integration/sandbox/leaks"
)

// Each piece of each form is found wherever it begins, and at its place; one character less is none.
func TestEveryPiece(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("x", 7) + "0123456789 abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ/+=%24&"
	pieces := leaks.Of(secret, "short", "")
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	for _, before := range []string{"", "AWS:", "u:"} { // base64 has three phases
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			form := encoding.EncodeToString([]byte(before + secret))
			forms = append(forms, form[(len(before)+2)/3*4:len(form)-2]) // of the secret alone
		}
	}
	for _, form := range forms {
		for at := range len(form) - leaks.Piece + 1 {
			whole, less := pieces.In("<<"+form[at:at+leaks.Piece]+">>"), pieces.In("<<"+form[at:at+leaks.Piece-1]+">>")
			if whole != 2 || less != -1 {
				t.Errorf("the piece at %d of %s was found at %d, less of it at %d; want 2, -1", at, form, whole, less)
			}
		}
	}
	decoded := leaks.Of(base64.StdEncoding.EncodeToString([]byte(secret)))
	if decoded.In("<<"+secret[7:7+leaks.Piece]) != 2 {
		t.Error("what a secret is the base64 of is not found")
	}
	if pieces.In("is short.") != 3 || pieces.In("") != -1 {
		t.Error("a short secret is one piece")
	}
}
