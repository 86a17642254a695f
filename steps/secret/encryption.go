package secret

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/untrusted"
)

// Why tokens cannot be decrypted. Object of OtherKeyPair is the public key they are encrypted to, Want the own one.
const (
	OtherKeyPair failure.Kind = "encrypted to another key pair"
	Damaged      failure.Kind = "encrypted tokens are damaged, or the result was altered"
)

// maxDecrypted bounds the JSON of a token, whose password takes about 2,400 characters.
const maxDecrypted = 64 << 10

// clearToken is the only JSON in which a password stands in clear. It never leaves this process.
type clearToken struct {
	TokenInfo
	Password string `json:"password"`
}

// Encrypt encrypts any number of tokens to a public key (age1…): JSON, gzipped, then age (X25519), then padded standard
// base64. Anyone who knows the public key can do so: whoever decrypts tokens must still check them at their registry.
func Encrypt(recipient string, tokens []Token) (string, error) {
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		// Only 15 characters are shown: a user who confused the two keys passes the private key here.
		return "", failure.Permanent(NotAKey, "read public key %.15q: not an age X25519 key (age1…)", recipient)
	}
	list := make([]clearToken, len(tokens))
	for i, t := range tokens {
		list[i] = clearToken{t.TokenInfo, t.Password.Reveal()}
	}
	var box bytes.Buffer
	crypt, err := age.Encrypt(&box, to)
	if err != nil {
		return "", fmt.Errorf("encrypt tokens: %w", err)
	}
	zip := gzip.NewWriter(crypt)
	if err := errors.Join(json.NewEncoder(zip).Encode(list), zip.Close(), crypt.Close()); err != nil {
		return "", fmt.Errorf("encrypt tokens: %w", err)
	}
	return base64.StdEncoding.EncodeToString(box.Bytes()), nil
}

// CheckRecipient rejects what is not a public key, as Encrypt does.
func CheckRecipient(recipient string) error {
	_, err := Encrypt(recipient, nil)
	return err
}

// Decrypt decrypts what Encrypt returned of so many tokens. recipient is the public key that the result names: age's
// format does not, and without it another key pair could not be distinguished from damage.
func Decrypt(identity Identity, recipient, sealed string, count int) ([]Token, error) {
	if own := identity.Recipient(); recipient != own {
		const form = "decrypt tokens: they are encrypted to public key %.70q, and this one is %s"
		err := failure.Permanent(OtherKeyPair, form, recipient, own)
		return nil, err.About(untrusted.New(recipient).String()).Want(own)
	}
	list, err := decrypt(sealed, identity.key, count)
	if err != nil { // it may quote what was inside
		return nil, failure.Permanent(Damaged, "decrypt tokens: cut or altered")
	}
	tokens := make([]Token, len(list))
	for i, t := range list {
		tokens[i] = Token{t.TokenInfo, New(t.Password)}
		tokens[i].Fingerprint = Fingerprint(tokens[i].Password)
	}
	return tokens, nil
}

func decrypt(sealed string, key *age.X25519Identity, count int) (list []clearToken, err error) {
	box := base64.NewDecoder(base64.StdEncoding, strings.NewReader(sealed))
	plain, err := age.Decrypt(box, key)
	if err != nil {
		return nil, err
	}
	zip, err := gzip.NewReader(plain)
	if err != nil {
		return nil, err
	}
	limit := &io.LimitedReader{R: zip, N: maxDecrypted}
	in := json.NewDecoder(limit)
	for _, err = in.Token(); err == nil && in.More() && len(list) < count; limit.N = maxDecrypted {
		var t clearToken
		err = in.Decode(&t) // what is cut is no JSON
		list = append(list, t)
	}
	end, _ := in.Token()
	if _, rest := in.Token(); err == nil && (end != json.Delim(']') || rest != io.EOF) {
		err = errors.New("cut, or more tokens than the result shows")
	}
	return list, err
}
