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

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// scrub makes words of the server fit for a log: no secret, no control characters, one line, not long. It looks for
// secrets twice, since control characters may stand between two halves of one.
func (c *Client) scrub(words string) string {
	const enough = 16 << 10
	words = words[:min(len(words), enough)]
	return failure.Cut(c.hidden.redact(tidy(c.hidden.redact(words))))
}

// tidy is failure.Line, without the user information of URLs.
func tidy(words string) string {
	words = failure.Line(words)
	if strings.Contains(words, "//") {
		words = regexp.MustCompile(`//[^/@\s]*@`).ReplaceAllString(words, "//")
	}
	return words
}

// hidden is what must not be repeated: the passwords and JWTs that a client has held.
type hidden struct {
	mu      sync.Mutex
	secrets []secret.Secret
}

func (h *hidden) add(s secret.Secret) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !s.Empty() && !slices.ContainsFunc(h.secrets, s.Equal) {
		h.secrets = append(h.secrets, s)
	}
}

// redact replaces every piece of eight bytes or more of every form of every secret: servers cut what they quote.
func (h *hidden) redact(text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	covered := make([]bool, len(text))
	for _, s := range h.secrets {
		for _, form := range forms(s.Reveal()) {
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

// forms gives a secret as it may come back: clear, escaped for JSON or a URL, and in base64 at each of the three places
// that it may have in a longer text ("user:password").
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
		all = append(all, base64.StdEncoding.EncodeToString(text)[skip:], base64.URLEncoding.EncodeToString(text)[skip:])
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}
