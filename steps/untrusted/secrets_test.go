package untrusted

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
)

const (
	password = `r3fresher "pass" <&> 4711`
	token    = "eyJwYXlsb2FkIjoiQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoi/+=="
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	s := newSecrets()
	for _, secret := range []string{password, token, "p%/1", ""} {
		s.conceal(secret)
	}
	quoted, _ := json.Marshal(password)
	for text, want := range map[string]string{
		"plain words":                                    "plain words",
		"got " + token + "!":                             "got [redacted]!",
		"cut " + token[5:20] + "...":                     "cut [redacted]...",
		"piece " + token[5:13] + "...":                   "piece [redacted]...",
		"less " + token[5:12] + "...":                    "less eyJwYXl..."[:5] + token[5:12] + "...",
		"short p%/1 too":                                 redacted,
		"short p%25%2F1 too":                             redacted,
		"json " + string(quoted) + " x":                  `json "[redacted]" x`,
		"url " + url.QueryEscape(password) + "&":         "url [redacted]&",
		"esc " + password[:9] + "\x1b[0m" + password[9:]: "esc [redacted]",
		"lower " + strings.ToLower(token[5:20]):          "lower [redacted]",
		"bad \xff utf8":                                  "bad ? utf8",
	} {
		if got := s.show(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestBase64(t *testing.T) {
	t.Parallel()
	s := newSecrets()
	s.conceal(token)
	for _, before := range []string{"", "u", "AWS:", "refresher:", "xy:"} {
		for _, after := range []string{"", "\n", "}}"} {
			for _, encoding := range []*base64.Encoding{
				base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
			} {
				text := encoding.EncodeToString([]byte(before + token + after))
				// What is left are the bytes around it, and up to three characters that hold bits of both.
				if got := strings.Replace(s.show(text), redacted, "", 1); len(got) > len(text)-len(token) {
					t.Errorf("%q stays of %q", got, text)
				}
			}
		}
	}
}

func FuzzSecrets(f *testing.F) {
	f.Add("detail ", token, " behind")
	f.Add("::group::", "\x1b[31mabcdefgh", "\x1b[0m")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		s := newSecrets()
		s.conceal(secret)
		got := s.show(before + secret + after)
		if len(secret) >= piece && !strings.Contains(redacted, secret) && strings.Contains(got, secret) {
			t.Errorf("%q holds %q", got, secret)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q holds a control character", got)
		}
	})
}

// What was shown before a secret was known is scrubbed again.
func TestNewSecret(t *testing.T) {
	t.Parallel()
	s := newSecrets()
	before := s.show("it is " + token)
	s.conceal(token)
	if after := s.show("it is " + token); before != "it is "+token || after != "it is "+redacted {
		t.Errorf("first %q, then %q", before, after)
	}
}

// Only so many texts are shown, and one that was shown before costs nothing.
func TestManyTexts(t *testing.T) {
	t.Parallel()
	s := newSecrets()
	var last string
	for i := range 66_000 {
		last = s.show(fmt.Sprint("message ", i))
		s.show("message 1")
	}
	const want = "[65800 more messages are not shown]"
	if last != want || s.texts != maxTexts || s.show("message 7") != "message 7" {
		t.Errorf("last %q, want %q, %d shown", last, want, s.texts)
	}
}

// BenchmarkWorstCase shows 66,000 different texts of the greatest length, in a process with n tokens: those of 50
// regions, and of 1,000 roles.
func BenchmarkWorstCase(b *testing.B) {
	var texts []string
	for i := range 66_000 {
		texts = append(texts, fmt.Sprint(i, strings.Repeat(token+" \x1b[0m", maxRead/len(token))))
	}
	for _, n := range []int{1, 50, 1000} {
		b.Run(fmt.Sprint(n, " tokens"), func(b *testing.B) {
			shown, before := 0, cpu()
			for b.Loop() {
				s := newSecrets()
				for range n {
					s.conceal(strings.Repeat(rand.Text(), 100))
				}
				for _, text := range texts {
					s.show(text)
				}
				shown = s.texts
			}
			b.ReportMetric(float64(shown), "texts")
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "ms-of-CPU/op")
		})
	}
}

// cpu returns how long this process has computed, in milliseconds.
func cpu() int64 {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return (used.Utime.Nano() + used.Stime.Nano()) / 1e6
}
