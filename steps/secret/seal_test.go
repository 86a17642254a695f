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
			RegistryURL: fmt.Sprintf("https://%012d.dkr.ecr.us-east-1.amazonaws.com", i),
			Username:    "AWS",
			Password:    secret.New(string(password)),
			IssuedAt:    issued,
			ExpiresAt:   issued.Add(12 * time.Hour),
		}
	}
	return list
}

func seal(t testing.TB, to string, list []secret.Token) string {
	t.Helper()
	text, err := secret.Encrypt(to, list)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// 50 tokens must fit into one environment variable, which Linux bounds at 128 KiB, with room for the rest of a document.
func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	id := mustParse(t)
	for _, n := range []int{0, 1, 50} {
		want := tokens(n)
		text := seal(t, id.Recipient(), want)
		if len(text) > 128<<10-4<<10 {
			t.Errorf("%d tokens are sealed to %d bytes", n, len(text))
		}
		got, err := secret.Decrypt(id, id.Recipient(), text)
		if err != nil || len(got) != n {
			t.Fatalf("%d tokens: opened %d, %v", n, len(got), err)
		}
		for i := range got {
			same := got[i].Password.Equal(want[i].Password)
			got[i].Password, want[i].Password = secret.Secret{}, secret.Secret{}
			if !same || got[i] != want[i] {
				t.Errorf("token %d of %d: got %+v, want %+v, same password: %v", i, n, got[i], want[i], same)
			}
		}
	}
}

func TestSealRefusesWhatIsNoRecipient(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"", "age1", "None", "age1" + strings.Repeat("q", 58), strings.ToUpper(mustParse(t).Recipient()), identity} {
		_, err := secret.Encrypt(to, tokens(1))
		if !failure.IsPermanent(err) || failure.Hint(err) == "" {
			t.Errorf("%q: %v", to, err)
		}
		// A private key where the recipient belongs is a likely mistake.
		if err != nil && strings.Contains(err.Error(), identity[:20]) {
			t.Errorf("the private key is in the error: %v", err)
		}
	}
}

func TestOpenNamesBothRecipients(t *testing.T) {
	t.Parallel()
	mine := mustParse(t)
	other, err := secret.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	_, err = secret.Decrypt(mine, other.Recipient(), seal(t, other.Recipient(), tokens(1)))
	if !failure.IsPermanent(err) || !strings.Contains(err.Error(), mine.Recipient()) || !strings.Contains(err.Error(), other.Recipient()) {
		t.Errorf("%v", err)
	}
	// The recipient that a document names is not the one it is sealed to.
	_, err = secret.Decrypt(mine, mine.Recipient(), seal(t, other.Recipient(), tokens(1)))
	checkBroken(t, "sealed to another", err)
}

func TestOpenRefusesABrokenSeal(t *testing.T) {
	t.Parallel()
	id := mustParse(t)
	good := seal(t, id.Recipient(), tokens(2))
	box, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{
		"empty":                  "",
		"not base64":             "(" + good[1:],
		"URL alphabet":           base64.URLEncoding.EncodeToString(append([]byte{0xff, 0xff}, box...)),
		"not padded":             strings.TrimRight(base64.StdEncoding.EncodeToString(append(box, make([]byte, 3-len(box)%3+1)...)), "="),
		"cut":                    base64.StdEncoding.EncodeToString(box[:len(box)-1]),
		"cut in half":            base64.StdEncoding.EncodeToString(box[:len(box)/2]),
		"cut to its header":      base64.StdEncoding.EncodeToString(box[:20]),
		"something added":        base64.StdEncoding.EncodeToString(append(bytes.Clone(box), 0)),
		"not age":                base64.StdEncoding.EncodeToString([]byte("hello")),
		"not gzip":               lock(t, id, []byte(`[{"password":"`+clear+`"}]`)),
		"gzip, cut":              lock(t, id, zip(t, `[{"password":"`+clear+`"}]`)[:20]),
		"gzip, something added":  lock(t, id, append(zip(t, `[]`), "x"...)),
		"not JSON":               lock(t, id, zip(t, `password=`+clear)),
		"JSON, something added":  lock(t, id, zip(t, `[] `+clear)),
		"JSON of another kind":   lock(t, id, zip(t, `{"password":"`+clear+`"}`)),
		"password is no string":  lock(t, id, zip(t, `[{"password":["`+clear+`"]}]`)),
		"time is no time":        lock(t, id, zip(t, `[{"expires_at":"`+clear+`"}]`)),
		"unpacks to 256 MiB":     lock(t, id, bomb(t, 256<<20)),
		"sealed with passphrase": base64.StdEncoding.EncodeToString([]byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 10\n")),
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
			checkBroken(t, name, err)
		})
	}
}

// checkBroken also looks for what was inside: a cause may quote it.
func checkBroken(t *testing.T, name string, err error) {
	t.Helper()
	if !failure.IsPermanent(err) || !strings.Contains(err.Error(), "open seal: ") || failure.Hint(err) == "" || leaks(err.Error()) || len(err.Error()) > 80 {
		t.Errorf("%s: %v", name, err)
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

// FuzzOpen tries both what a fuzzer makes of a whole seal and, since that is never authentic, of what is inside one. What
// opens is sealed and opened to the same.
func FuzzOpen(f *testing.F) {
	id := mustParse(f)
	f.Add(seal(f, id.Recipient(), tokens(1)), []byte(`[{"registry_url":"https://r","password":"p"}]`))
	f.Fuzz(func(t *testing.T, text string, plain []byte) {
		for _, text := range []string{text, lock(t, id, plain), lock(t, id, zip(t, string(plain)))} {
			list, err := secret.Decrypt(id, id.Recipient(), text)
			if err != nil {
				checkBroken(t, text, err)
				continue
			}
			wantSealedAgain(t, id, list)
		}
	})
}

func wantSealedAgain(t *testing.T, id secret.Identity, list []secret.Token) {
	t.Helper()
	text, err := secret.Encrypt(id.Recipient(), list)
	if err != nil {
		t.Fatalf("opens, and is not sealed again: %v", err)
	}
	again, err := secret.Decrypt(id, id.Recipient(), text)
	if same := slices.EqualFunc(again, list, sameToken); err != nil || !same {
		t.Errorf("opens as %+v, and sealed again as %+v, %v", list, again, err)
	}
}

func sameToken(a, b secret.Token) bool {
	return a.RegistryURL == b.RegistryURL && a.Username == b.Username && a.Password.Equal(b.Password) && a.IssuedAt.Equal(b.IssuedAt) && a.ExpiresAt.Equal(b.ExpiresAt)
}
