package airflowclient

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestScrub(t *testing.T) {
	t.Parallel()
	var s scrubber
	s.add(hide(apiPassword))
	s.add(hide(newPassword))
	s.add(hide("p%/1"))
	s.add(hide(""))
	for in, want := range map[string]string{
		"plain words":                                          "plain words",
		"got " + newPassword + "!":                             "got [redacted]!",
		"cut " + newPassword[5:20] + "...":                     "cut [redacted]...",
		"piece " + newPassword[5:13] + "...":                   "piece [redacted]...",
		"short p%/1 too":                                       "[redacted]",
		"short p%25%2F1 too":                                   "[redacted]",
		"json " + quoted(apiPassword) + " x":                   `json "[redacted]" x`,
		"url " + url.QueryEscape(apiPassword) + "&":            "url [redacted]&",
		"esc " + apiPassword[:9] + "\x1b[0m" + apiPassword[9:]: "esc [redacted][redacted]",
		"a\x1b[31mred\x1b[0m b\r\nc\td\x00e\x07":               "ared b c d e",
		"\x1b]0;title\x07x\u202ey\u200bz":                      "xyz",
		"at http://user:pw@host/x":                             "at http://host/x",
		"bad \xff utf8":                                        "bad ? utf8",
		strings.Repeat("é", 200):                               strings.Repeat("é", 200),
		strings.Repeat("é", 201):                               strings.Repeat("é", 200) + "…",
		strings.Repeat(" ", 16<<10) + "x":                      "",
	} {
		if got := s.scrub(in); got != want {
			t.Errorf("scrub(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestScrubBase64(t *testing.T) {
	t.Parallel()
	var s scrubber
	s.add(hide(newPassword))
	for _, before := range []string{"", "u", "AWS:", "refresher:", "xy:"} {
		for _, after := range []string{"", "\n", "}}"} {
			for _, encoding := range []*base64.Encoding{
				base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
			} {
				text := encoding.EncodeToString([]byte(before + newPassword + after))
				// What is left are the bytes around it, and up to three characters that hold bits of both.
				if got := strings.Replace(s.scrub(text), "[redacted]", "", 1); len(got) > len(text)-len(newPassword) {
					t.Errorf("%q stays of %q", got, text)
				}
			}
		}
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("detail ", newPassword, " behind")
	f.Add("::group::", "\x1b[31mabcdefgh", "\x1b[0m")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		var s scrubber
		s.add(hide(secret))
		got := s.scrub(before + secret + after)
		if len(secret) >= 8 && !strings.Contains("[redacted]", secret) && strings.Contains(got, secret) {
			t.Errorf("%q holds %q", got, secret)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q holds a control character", got)
		}
	})
}

// A thousand connections may have one token: it is looked for once.
func TestScrubberKeepsASecretOnce(t *testing.T) {
	t.Parallel()
	var s scrubber
	for range 1000 {
		s.add(hide(newPassword))
	}
	if len(s.secrets) != 1 {
		t.Errorf("%d secrets", len(s.secrets))
	}
}

// What an answer may hold at most is scrubbed in less than a second: tokens of 50 regions, 1,000 errors of their own.
func TestScrubIsFast(t *testing.T) {
	t.Parallel()
	var s scrubber
	for range 50 {
		s.add(hide(strings.Repeat(rand.Text(), 100)))
	}
	began := time.Now()
	for i := range 1000 {
		s.scrub(strings.Repeat(fmt.Sprint("error ", i), 100))
	}
	if took := time.Since(began); took > 10*time.Second { // of a machine that does much else
		t.Errorf("it took %s", took)
	}
}
