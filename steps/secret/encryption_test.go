package secret_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// identity is the key of age's own test vectors.
const identity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

func mustParse(t testing.TB) secret.Identity {
	t.Helper()
	id, err := secret.ParseIdentity(secret.New(identity))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// tokens makes n tokens of ECR's length and alphabet, the same ones each time.
func tokens(n int) []secret.Token {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	random := rand.New(rand.NewPCG(1, 2))
	list := make([]secret.Token, n)
	for i := range list {
		password := make([]byte, 2400)
		for j := range password {
			password[j] = alphabet[random.IntN(len(alphabet))]
		}
		issued := time.Date(2026, 11, 23, 17, 55, 3, 0, time.UTC)
		list[i] = secret.Token{
			TokenInfo: secret.TokenInfo{
				RegistryURL: fmt.Sprintf("https://%012d.dkr.ecr.us-east-1.amazonaws.com", i),
				Username:    "AWS",
				IssuedAt:    issued,
				ExpiresAt:   issued.Add(12 * time.Hour),
			},
			Password: secret.New(string(password)),
		}
		list[i].Fingerprint = secret.Fingerprint(list[i].Password)
	}
	return list
}

func encrypt(t testing.TB, to string, list []secret.Token) string {
	t.Helper()
	text, err := secret.Encrypt(to, list)
	if err != nil {
		t.Fatal(err)
	}
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
		got, err := secret.Decrypt(id, id.Recipient(), text)
		if err != nil || !slices.EqualFunc(got, want, sameToken) {
			t.Errorf("%d tokens: got %+v, want %+v, %v", n, got, want, err)
		}
	}
}

func TestEncryptRejectsWhatIsNoPublicKey(t *testing.T) {
	t.Parallel()
	good := mustParse(t).Recipient()
	if err := secret.CheckRecipient(good); err != nil {
		t.Error(err)
	}
	for _, to := range []string{"", "age1", "None", "age1" + strings.Repeat("q", 58), strings.ToUpper(good), identity} {
		_, err := secret.Encrypt(to, tokens(1))
		for _, err := range []error{err, secret.CheckRecipient(to)} {
			kind, _ := failure.Describe(err)
			if kind != secret.NotAPublicKey || !failure.IsPermanent(err) {
				t.Errorf("%q: %v of kind %q", to, err, kind)
			} else if strings.Contains(err.Error(), identity[:20]) { // to swap the two keys is a likely mistake
				t.Errorf("the private key is in the error: %v", err)
			}
		}
	}
}

func TestDecryptNamesBothPublicKeys(t *testing.T) {
	t.Parallel()
	mine := mustParse(t)
	other, err := secret.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	_, err = secret.Decrypt(mine, other.Recipient(), encrypt(t, other.Recipient(), tokens(1)))
	kind, facts := failure.Describe(err)
	want := failure.Facts{Object: other.Recipient(), Want: mine.Recipient()}
	if kind != secret.OtherKeyPair || facts != want || !failure.IsPermanent(err) {
		t.Errorf("%v of kind %q, %+v", err, kind, facts)
	}
	if !strings.Contains(err.Error(), want.Object) || !strings.Contains(err.Error(), want.Want) {
		t.Errorf("%v", err)
	}
	// The public key that a result names is not the one that its tokens are encrypted to.
	_, err = secret.Decrypt(mine, mine.Recipient(), encrypt(t, other.Recipient(), tokens(1)))
	checkDamaged(t, "encrypted to another", err)
}

func TestDecryptDamaged(t *testing.T) {
	t.Parallel()
	id := mustParse(t)
	good := encrypt(t, id.Recipient(), tokens(2))
	box, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{
		"empty":                 "",
		"not base64":            "(" + good[1:],
		"URL alphabet":          base64.URLEncoding.EncodeToString(append([]byte{0xff, 0xff}, box...)),
		"not padded":            base64.RawStdEncoding.EncodeToString(append(box, make([]byte, 4-len(box)%3)...)),
		"cut":                   base64.StdEncoding.EncodeToString(box[:len(box)-1]),
		"cut in half":           base64.StdEncoding.EncodeToString(box[:len(box)/2]),
		"cut to its header":     base64.StdEncoding.EncodeToString(box[:20]),
		"something added":       base64.StdEncoding.EncodeToString(append(bytes.Clone(box), 0)),
		"not age":               base64.StdEncoding.EncodeToString([]byte("hello")),
		"not gzip":              lock(t, id, []byte(`[{"password":"`+clear+`"}]`)),
		"gzip, cut":             lock(t, id, zip(t, `[{"password":"`+clear+`"}]`)[:20]),
		"gzip, something added": lock(t, id, append(zip(t, `[]`), "x"...)),
		"not JSON":              lock(t, id, zip(t, `password=`+clear)),
		"JSON, something added": lock(t, id, zip(t, `[] `+clear)),
		"JSON of another kind":  lock(t, id, zip(t, `{"password":"`+clear+`"}`)),
		"password is no string": lock(t, id, zip(t, `[{"password":["`+clear+`"]}]`)),
		"time is no time":       lock(t, id, zip(t, `[{"expires_at":"`+clear+`"}]`)),
		"unpacks to 256 MiB":    lock(t, id, bomb(t, 256<<20)),
	}
	for i := 0; i < len(box); i += len(box) / 40 {
		altered := bytes.Clone(box)
		altered[i] ^= 1
		rows[fmt.Sprintf("bit altered in byte %d", i)] = base64.StdEncoding.EncodeToString(altered)
	}
	for name, text := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := secret.Decrypt(id, id.Recipient(), text)
			checkDamaged(t, name, err)
		})
	}
}

// checkDamaged also looks for what was inside: a cause may quote it.
func checkDamaged(t *testing.T, name string, err error) {
	t.Helper()
	kind, _ := failure.Describe(err)
	if kind != secret.Damaged || !failure.IsPermanent(err) || leaks(err.Error()) || len(err.Error()) > 80 {
		t.Errorf("%s: %v of kind %q", name, err, kind)
	}
}

// lock encrypts anything as Encrypt encrypts tokens.
func lock(t testing.TB, id secret.Identity, plain []byte) string {
	t.Helper()
	to, err := age.ParseX25519Recipient(id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

func zip(t testing.TB, text string) []byte { return zipFrom(t, strings.NewReader(text)) }

// bomb is n spaces in front of a list.
func bomb(t testing.TB, n int64) []byte {
	return zipFrom(t, io.MultiReader(io.LimitReader(spaces{}, n), strings.NewReader("[]")))
}

func zipFrom(t testing.TB, r io.Reader) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// FuzzOpen tries both what a fuzzer makes of encrypted tokens and, since that is never authentic, of what is inside.
// What is decrypted is encrypted and decrypted to the same.
func FuzzOpen(f *testing.F) {
	id := mustParse(f)
	f.Add(encrypt(f, id.Recipient(), tokens(1)), []byte(`[{"registry_url":"https://r","password":"p"}]`))
	f.Fuzz(func(t *testing.T, text string, plain []byte) {
		for _, text := range []string{text, lock(t, id, plain), lock(t, id, zip(t, string(plain)))} {
			list, err := secret.Decrypt(id, id.Recipient(), text)
			if err != nil {
				checkDamaged(t, text, err)
				continue
			}
			wantEncryptedAgain(t, id, list)
		}
	})
}

func wantEncryptedAgain(t *testing.T, id secret.Identity, list []secret.Token) {
	t.Helper()
	text, err := secret.Encrypt(id.Recipient(), list)
	if err != nil {
		t.Fatalf("decrypted, and not encrypted again: %v", err)
	}
	again, err := secret.Decrypt(id, id.Recipient(), text)
	if same := slices.EqualFunc(again, list, sameToken); err != nil || !same {
		t.Errorf("decrypted as %+v, and encrypted again as %+v, %v", list, again, err)
	}
}

func sameToken(a, b secret.Token) bool {
	return a.TokenInfo == b.TokenInfo && a.Password.Equal(b.Password)
}
