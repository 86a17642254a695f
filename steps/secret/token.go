// Package secret holds the credentials: Secret, a value that cannot be printed; Token, an ECR authorization token; and the
// encryption that carries tokens from one task to the next without anybody between being able to read them.
package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Token is one ECR authorization token, decoded.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_AuthorizationData.html
type Token struct {
	RegistryURL string // https://<account>.dkr.ecr.<region>.<suffix>, no path
	Username    string // "AWS"
	Password    Secret // about 2,400 characters
	IssuedAt    time.Time
	ExpiresAt   time.Time
}

// Fingerprint gives the first 12 hex digits of the SHA-256 of the password: enough to tell two tokens apart, and of no
// use to who would guess one, since a token is random and long.
func (t Token) Fingerprint() string { return Fingerprint(t.Password) }

// Fingerprint gives the first 12 hex digits of the SHA-256 of an ECR token. Never use it on a password that a human
// may have chosen.
func Fingerprint(s Secret) string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])[:12]
}
