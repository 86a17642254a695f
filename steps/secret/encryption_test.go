package secret_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// identity is the key of age's own test vectors.
const identity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

func mustParse(t *testing.T) secret.Identity {
	t.Helper()
	id, err := secret.ParseIdentity(secret.New(identity))
	must(t, err)
	return id
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// tokens makes n tokens of ECR's length and alphabet, the same ones each time.
func tokens(n int) []secret.Token {
	random := rand.NewChaCha8([32]byte{})
	list := make([]secret.Token, n)
	for i := range list {
		password := make([]byte, 1800)
		_, _ = random.Read(password)
		issued := time.Date(2026, 11, 23, 17, 55, 3, 0, time.UTC)
		list[i].Password = secret.New(base64.StdEncoding.EncodeToString(password))
		list[i].TokenInfo = secret.TokenInfo{
			RegistryURL: fmt.Sprintf("https://%012d.dkr.ecr.us-east-1.amazonaws.com", i), Username: "AWS",
			IssuedAt: issued, ExpiresAt: issued.Add(12 * time.Hour), Fingerprint: secret.Fingerprint(list[i].Password),
		}
	}
	return list
}

func encrypt(t *testing.T, to string, list []secret.Token) string {
	t.Helper()
	text, err := secret.Encrypt(to, list)
	must(t, err)
	return text
}

// 50 tokens must fit into one environment variable, which Linux bounds at 128 KiB, with room for the rest of a result.
func TestEncryptAndDecrypt(t *testing.T) {
	t.Parallel()
	id := mustParse(t)
	for _, n := range []int{0, 1, 50} {
		want := tokens(n)
		text := encrypt(t, id.Recipient(), want)
		if len(text) > 128<<10-4<<10 {
			t.Errorf("%d tokens are encrypted to %d bytes", n, len(text))
		}
		got, err := secret.Decrypt(id, id.Recipient(), text, n)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d tokens: got %+v, want %+v, %v", n, got, want, err)
		}
	}
	// Whoever encrypted a token may have lied about its fingerprint.
	got, err := secret.Decrypt(id, id.Recipient(), lock(t, id, zip(t, `[{"password":"p","fingerprint":"0"}]`)), 1)
	must(t, err)
	if got[0].Fingerprint != secret.Fingerprint(secret.New("p")) {
		t.Errorf("fingerprint %q", got[0].Fingerprint)
	}
}

func TestEncryptRejectsWhatIsNoPublicKey(t *testing.T) {
	t.Parallel()
	good := mustParse(t).Recipient()
	must(t, secret.CheckRecipient(good))
	for _, to := range []string{"", "age1", strings.ToUpper(good), identity} {
		err := secret.CheckRecipient(to) // to swap the two keys is a likely mistake
		if kindOf(err) != secret.NotAKey || !failure.IsPermanent(err) ||
			strings.Contains(err.Error(), identity[:20]) {
			t.Errorf("%q: %v of kind %q", to, err, kindOf(err))
		}
	}
}

// The public key that a result names may not be the one that its tokens are encrypted to.
func TestDecryptNamesBothPublicKeys(t *testing.T) {
	t.Parallel()
	mine, other := mustParse(t), secret.NewIdentity()
	sealed := encrypt(t, other.Recipient(), tokens(1))
	_, err := secret.Decrypt(mine, other.Recipient(), sealed, 1)
	kind, facts := failure.Describe(err)
	want := failure.Facts{Object: other.Recipient(), Want: mine.Recipient()}
	if kind != secret.OtherKeyPair || facts != want || !failure.IsPermanent(err) ||
		!strings.Contains(err.Error(), want.Object) || !strings.Contains(err.Error(), want.Want) {
		t.Errorf("%v of kind %q, %+v", err, kind, facts)
	}
	_, err = secret.Decrypt(mine, mine.Recipient(), sealed, 1)
	checkDamaged(t, "encrypted to another", err)
}

func TestDecryptDamaged(t *testing.T) {
	t.Parallel()
	id := mustParse(t)
	good := encrypt(t, id.Recipient(), tokens(2))
	for name, text := range map[string]string{
		"empty":                 "",
		"not base64":            "(" + good[1:],
		"cut":                   good[:len(good)-4],
		"cut to its header":     good[:20],
		"altered":               good[:400] + strings.ToUpper(good[400:]),
		"something added":       good + "AAAA",
		"not gzip":              lock(t, id, []byte(`[{"password":"`+clear+`"}]`)),
		"gzip, cut":             lock(t, id, zip(t, `[{"password":"`+clear+`"}]`)[:20]),
		"gzip, something added": lock(t, id, append(zip(t, `[]`), "x"...)),
		"JSON, something added": lock(t, id, zip(t, `[] `+clear)),
		"password is no string": lock(t, id, zip(t, `[{"password":["`+clear+`"]}]`)),
		"time is no time":       lock(t, id, zip(t, `[{"expires_at":"`+clear+`"}]`)),
		"three tokens of two":   encrypt(t, id.Recipient(), tokens(3)),
		"unpacks to 9 MiB":      lock(t, id, zip(t, strings.Repeat(" ", 9<<20)+"[]")),
	} {
		_, err := secret.Decrypt(id, id.Recipient(), text, 2)
		checkDamaged(t, name, err)
	}
}

// checkDamaged also looks for what was inside: a cause may quote it.
func checkDamaged(t *testing.T, name string, err error) {
	t.Helper()
	if kindOf(err) != secret.Damaged || !failure.IsPermanent(err) || shows(err.Error()) || len(err.Error()) > 80 {
		t.Errorf("%s: %v of kind %q", name, err, kindOf(err))
	}
}

// lock encrypts anything as Encrypt encrypts tokens.
func lock(t *testing.T, id secret.Identity, plain []byte) string {
	t.Helper()
	to, err := age.ParseX25519Recipient(id.Recipient())
	must(t, err)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	must(t, err)
	_, err = w.Write(plain)
	must(t, err, w.Close())
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write([]byte(text))
	must(t, err, w.Close())
	return out.Bytes()
}
