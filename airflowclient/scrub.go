package airflowclient

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// scrubber knows the secrets that a client has held.
type scrubber struct {
	mu      sync.Mutex
	secrets []Secret
}

func (s *scrubber) add(secret Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := func(other Secret) bool { return other.Reveal() == secret.Reveal() }
	if !secret.Empty() && !slices.ContainsFunc(s.secrets, known) {
		s.secrets = append(s.secrets, secret)
	}
}

// scrub makes a server's message fit for a log: no secret, no control characters, one line, not long. It looks for
// secrets twice, since control characters may stand between two halves of one.
func (s *scrubber) scrub(message string) string {
	message = message[:min(len(message), 16<<10)]
	return cut(s.redact(line(s.redact(message))))
}

// line returns text on one line, without terminal escapes, invisible characters and the user information of URLs.
func line(text string) string {
	text = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?`).ReplaceAllString(text, "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = regexp.MustCompile(`//[^/@\s]*@`).ReplaceAllString(text, "//")
	return strings.Join(strings.Fields(text), " ")
}

// cut returns the first 200 characters of text.
func cut(text string) string {
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return text
}

// redact replaces every piece of eight bytes or more of every form of every secret: servers cut what they quote.
func (s *scrubber) redact(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	covered := make([]bool, len(text))
	for _, secret := range s.secrets {
		for _, form := range forms(secret.Reveal()) {
			cover(covered, text, form)
		}
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !covered[i]:
			b.WriteByte(text[i])
		case i == 0 || !covered[i-1]:
			b.WriteString("[redacted]")
		}
	}
	return strings.ToValidUTF8(b.String(), "?")
}

// cover marks where text holds a piece of form.
func cover(covered []bool, text, form string) {
	piece := min(8, len(form))
	pieces := make(map[string]bool, len(form))
	for i := range len(form) - piece + 1 {
		pieces[form[i:i+piece]] = true
	}
	for i := range max(0, len(text)-piece+1) {
		if pieces[text[i:i+piece]] {
			for k := i; k < i+piece; k++ {
				covered[k] = true
			}
		}
	}
}

// forms returns a secret as a server may repeat it: in clear, escaped for JSON or a URL, and in base64 at each of the
// three places that it may have in a longer text ("user:password").
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	all := []string{secret, strings.Trim(string(quoted), `"`), strings.Trim(strconv.QuoteToASCII(secret), `"`),
		url.QueryEscape(secret), url.PathEscape(secret)}
	for shift := range 3 {
		whole := len(secret) - (shift+len(secret))%3 // bytes behind it are shared with what follows
		if whole < 6 {
			continue
		}
		text := append(make([]byte, shift), secret[:whole]...)
		skip := (shift*8 + 5) / 6 // characters shared with what stands before
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			all = append(all, encoding.EncodeToString(text)[skip:])
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}
