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
