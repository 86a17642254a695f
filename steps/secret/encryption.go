package secret

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"ecr-refresh/steps/failure"
)

// maxOpened bounds what a seal may unpack to: 1,000 tokens of the 8 KiB that this tool accepts.
const maxOpened = 8 << 20

// sealed is one token inside the seal: the only JSON in which a password stands in clear, and it never leaves memory.
type sealed struct {
	RegistryURL string    `json:"registry_url"`
	Username    string    `json:"username"`
	IssuedAt    time.Time `json:"issued_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	Password    string    `json:"password"`
}

// Encrypt encrypts all tokens to an age recipient (age1…): JSON, gzipped, then age (X25519), then padded standard base64.
// One seal holds any number of tokens. Anyone who knows the recipient can seal, so who opens it must still check the
// tokens with their registry.
func Encrypt(recipient string, tokens []Token) (string, error) {
	to, err := parseRecipient(recipient)
	if err != nil {
		return "", err
	}
	var box bytes.Buffer
	if err := encrypt(&box, to, tokens); err != nil {
		return "", fmt.Errorf("seal tokens: %w", err)
	}
	return base64.StdEncoding.EncodeToString(box.Bytes()), nil
}

// CheckRecipient refuses what Encrypt could not seal to.
func CheckRecipient(recipient string) error {
	_, err := parseRecipient(recipient)
	return err
}

func parseRecipient(recipient string) (*age.X25519Recipient, error) {
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		// Cut: who swaps the two Variables gives the private key here, and its first 15 characters tell him so.
		return nil, failure.Permanent(hintKeygen, "read recipient %.15q: not an age X25519 recipient (age1…)", recipient)
	}
	return to, nil
}

func encrypt(w io.Writer, to age.Recipient, tokens []Token) error {
	list := make([]sealed, len(tokens))
	for i, t := range tokens {
		list[i] = sealed{t.RegistryURL, t.Username, t.IssuedAt, t.ExpiresAt, t.Password.Reveal()}
	}
	crypt, err := age.Encrypt(w, to)
	if err != nil {
		return err
	}
	zip, err := gzip.NewWriterLevel(crypt, level(tokens))
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(zip).Encode(list), zip.Close(), crypt.Close())
}

// level is gzip's for a list of tokens. In one token nothing repeats: to look for it costs a sixth of a step's memory, and
// saves eleven bytes.
func level(tokens []Token) int {
	if len(tokens) > 1 {
		return gzip.DefaultCompression
	}
	return gzip.HuffmanOnly
}

// Decrypt decrypts what Encrypt made. recipient is the one that the document names: an age stanza does not, and without it a
// wrong identity could not be told from a broken seal.
func Decrypt(identity Identity, recipient, seal string) ([]Token, error) {
	if recipient != identity.Recipient() {
		return nil, failure.Permanent(hintRecipients,
			"open seal: it is made for recipient %.70q, and this identity is %s", recipient, identity.Recipient())
	}
	box, err := base64.StdEncoding.DecodeString(seal)
	if err != nil {
		return nil, failure.Permanent(hintBroken, "open seal: not base64, cut or altered")
	}
	list, err := decrypt(box, identity.key)
	if err != nil {
		return nil, failure.Permanent(hintBroken, "open seal: cut or altered")
	}
	tokens := make([]Token, len(list))
	for i, s := range list {
		tokens[i] = Token{s.RegistryURL, s.Username, New(s.Password), s.IssuedAt, s.ExpiresAt}
	}
	return tokens, nil
}

// decrypt returns bare causes: Decrypt drops them, since a JSON error may quote what was inside.
func decrypt(box []byte, key *age.X25519Identity) ([]sealed, error) {
	plain, err := age.Decrypt(bytes.NewReader(box), key)
	if err != nil {
		return nil, err
	}
	zip, err := gzip.NewReader(plain)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(zip, maxOpened+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxOpened {
		return nil, errors.New("too large")
	}
	var list []sealed
	return list, json.Unmarshal(text, &list)
}

const (
	hintKeygen     = "run 'ecr-refresh keygen' and set the two Airflow Variables that it prints"
	hintRecipients = "steps 1 and 2 need the same identity: run 'ecr-refresh keygen' once and set the two Airflow Variables that it prints (ecr_refresh_recipient, ecr_refresh_private_key)"
	hintBroken     = "clear extract_ecr_token with Downstream: it makes a new seal"
)
