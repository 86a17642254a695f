package airflowclient

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Secret is a password or a token, which no way of printing or marshalling shows. A nil Secret is an empty one.
type Secret interface {
	Reveal() string
	Empty() bool
}

// hidden is a Secret that fmt prints as an address, and that no encoder accepts.
type hidden func() string

func hide(text string) hidden { return func() string { return text } }

// Reveal returns the text.
func (h hidden) Reveal() string { return h() }

// Empty reports whether there is no text.
func (h hidden) Empty() bool { return h() == "" }

func orEmpty(s Secret) Secret { return cmp.Or(s, Secret(hide(""))) }

// scrubber knows the secrets that a client has held.
type scrubber struct {
	mu      sync.Mutex
	secrets []Secret
	pieces  map[uint64]bool // of all forms of the first secrets
	short   []Secret        // all forms of those that are shorter than a piece
	read    int             // number of secrets that these two have
}

// piece is how much of a secret is not shown, in bytes: servers cut what they quote.
const piece = 8

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
func (s *scrubber) scrub(message string) string { return cut(s.clean(message)) }

// clean is scrub for a text that may be long.
func (s *scrubber) clean(message string) string {
	message = message[:min(len(message), 16<<10)]
	return s.redact(line(s.redact(message)))
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
	}, text)
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

// redact replaces every piece of every form of every secret. A text that holds a secret shorter than a piece is
// replaced whole: what is left around the gaps would reveal it.
func (s *scrubber) redact(text string) string {
	const redacted = "[redacted]"
	s.mu.Lock()
	defer s.mu.Unlock()
	s.learn()
	text = strings.ToValidUTF8(text, "?")
	if slices.ContainsFunc(s.short, func(form Secret) bool { return strings.Contains(text, form.Reveal()) }) {
		return redacted
	}
	open := []byte(text)
	for i := range max(0, len(text)-piece+1) {
		if s.pieces[binary.NativeEndian.Uint64([]byte(text[i:i+piece]))] {
			copy(open[i:], bytes.Repeat([]byte{0xff}, piece)) // no UTF-8
		}
	}
	return strings.ToValidUTF8(string(open), redacted) // one for each run of covered bytes
}

// learn adds the forms of new secrets to pieces: a good run never needs them.
func (s *scrubber) learn() {
	if s.pieces == nil {
		s.pieces = map[uint64]bool{}
	}
	for _, secret := range s.secrets[s.read:] {
		for _, form := range forms(secret.Reveal()) {
			if len(secret.Reveal()) < piece {
				s.short = append(s.short, hide(form))
				continue
			}
			for i := range max(0, len(form)-piece+1) {
				s.pieces[binary.NativeEndian.Uint64([]byte(form[i:i+piece]))] = true
			}
		}
	}
	s.read = len(s.secrets)
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
	return all
}

// invalid stands for a message that may quote the request, password included.
const invalid = "the request did not pass validation"

// answered words an answer of who. What stands behind the colon is the server's.
func (c *Client) answered(who string, status int, message string) string {
	if message = c.scrubber.scrub(message); message != "" {
		return fmt.Sprintf("%s answered %d: %s", who, status, message)
	}
	return strings.TrimSpace(fmt.Sprintf("%s answered %d %s", who, status, http.StatusText(status)))
}

// message picks what a person can use out of an answer that reports a failure. Airflow's `detail` is a string, a list
// of validation errors or an object; an unknown route has `error` instead; of plain text nothing is repeated, nor the
// input and context of a validation error, nor the Simple auth manager's 422, a string that holds the request.
func (a answer) message() string {
	var body struct{ Detail, Error any }
	if !a.isJSON() || json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	text := func(value any) string { s, _ := value.(string); return s }
	switch detail := body.Detail.(type) {
	case string:
		if a.StatusCode == http.StatusUnprocessableEntity ||
			strings.Contains(detail, "input_value") || strings.Contains(detail, "'input'") {
			return invalid
		}
		return detail
	case map[string]any:
		return strings.Trim(text(detail["reason"])+": "+text(detail["message"]), ": ")
	case []any: // that of a bulk request has each error twice
		for _, e := range detail {
			if e, _ := e.(map[string]any); text(e["msg"]) != "" {
				return fmt.Sprintf("%v: %s", e["loc"], text(e["msg"]))
			}
		}
	}
	return text(body.Error)
}
