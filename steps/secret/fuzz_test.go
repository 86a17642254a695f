package secret_test

import (
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps/secret"
)

// FuzzDecrypt: an altered text is an error that repeats nothing of it, and never other tokens.
func FuzzDecrypt(f *testing.F) {
	id := secret.NewIdentity()
	token := secret.Token{TokenInfo: secret.TokenInfo{RegistryURL: "https://h", Username: "AWS",
		ExpiresAt: time.Unix(0, 0).UTC()}, Password: secret.New(strings.Repeat("p", 2400))}
	sealed, err := secret.Encrypt(id.Recipient(), []secret.Token{token})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, "A")
	f.Add(300, "====")
	f.Add(len(sealed), "A")
	f.Fuzz(func(t *testing.T, at int, with string) {
		at = min(max(at, 0), len(sealed))
		altered := sealed[:at] + with + sealed[min(at+len(with), len(sealed)):]
		tokens, err := secret.Decrypt(id, id.Recipient(), altered, 1)
		switch {
		case err == nil && (len(tokens) != 1 || tokens[0].Password.Reveal() != token.Password.Reveal()):
			t.Errorf("%q at %d: %v", with, at, tokens)
		case err != nil && len(err.Error()) > 200:
			t.Errorf("%q at %d: %v", with, at, err)
		}
	})
}
