package untrusted

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Conceal makes every Text leave out a secret, from now on. It is one set for the whole process, since any server may
// repeat any secret: who had to pass a set on could forget it.
func Conceal(secret string) { process.conceal(secret) }

// process are the secrets of this process.
var process secrets

// secrets knows what no Text may show, and what was shown.
type secrets struct {
	mu     sync.Mutex
	held   map[string][][]byte // the forms of each secret but base64
	size   int                 // bytes of these
	shown  map[string]string   // the texts, as they are shown
	texts  int                 // that were shown, each time that it was scrubbed
	hidden int                 // texts that were one too many
}

const (
	// piece is how much of a secret is not shown, in bytes: servers cut what they quote.
	piece = 8
	// shortest is the length of a secret that is one: less stands in many a word, and is soon guessed.
	shortest = 4
	// maxWork bounds the bytes of secrets that texts are compared with: half a second's work.
	maxWork = 16 << 20

	redacted = "[redacted]"
)

func (s *secrets) conceal(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.held[secret]; known || len(secret) < shortest {
		return
	}
	if s.held == nil {
		s.held = map[string][][]byte{}
	}
	all := escaped(secret)
	for _, form := range all {
		s.size += len(form)
	}
	s.held[secret] = all
	clear(s.shown) // they may hold it
}

// show returns what may be shown of text. Each text is scrubbed once, and only so many are: of the others, it returns
// how many there were.
func (s *secrets) show(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	shown, done := s.shown[text]
	switch {
	case done:
	case s.texts >= min(maxTexts, maxWork/(s.size+1)):
		s.hidden++
		return fmt.Sprintf("[%d more messages are not shown]", s.hidden)
	default:
		if s.shown == nil {
			s.shown = map[string]string{}
		}
		s.texts++
		shown = s.scrub(text)
		s.shown[text] = shown
	}
	return shown
}

// scrub looks for secrets twice, since control characters may stand between two halves of one.
func (s *secrets) scrub(text string) string { return s.redact(line(s.redact(text))) }

// redact replaces every piece of every form of every secret. A text that holds a secret shorter than a piece is
// replaced whole: what is left around the gaps would reveal it.
func (s *secrets) redact(text string) string {
	text = strings.ToValidUTF8(text, "?")
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(text) // base64 has two alphabets
	as := [][]byte{[]byte(text), []byte(standard)}
	var inText filter
	for _, one := range as {
		for p := range pieces(one) {
			inText.add(p)
		}
	}
	found := map[uint64]bool{}
	var space []byte
	for secret, forms := range s.held {
		for form := range withBase64(secret, forms, &space) {
			if len(secret) < piece && (bytes.Contains(as[0], form) || bytes.Contains(as[1], form)) {
				return redacted
			}
			for p := range pieces(form) {
				if inText.mayHave(p) {
					found[p] = true
				}
			}
		}
	}
	open := []byte(text)
	for _, one := range as {
		i := 0
		for p := range pieces(one) {
			if found[p] {
				copy(open[i:], bytes.Repeat([]byte{0xff}, piece)) // no UTF-8
			}
			i++
		}
	}
	return strings.ToValidUTF8(string(open), redacted) // one for each run of covered bytes
}

// pieces returns each piece of text, as a number.
func pieces(text []byte) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for ; len(text) >= piece && yield(binary.NativeEndian.Uint64(text)); text = text[1:] {
		}
	}
}

// filter has two bits for each piece of some texts (a Bloom filter): most pieces of secrets are in none of them.
type filter [1 << 10]uint64

func (f *filter) add(p uint64) {
	one, two := bits(p)
	f[one>>6] |= 1 << (one & 63)
	f[two>>6] |= 1 << (two & 63)
}

func (f *filter) mayHave(p uint64) bool {
	one, two := bits(p)
	return f[one>>6]&(1<<(one&63)) != 0 && f[two>>6]&(1<<(two&63)) != 0
}

// bits hashes a piece (Fibonacci hashing) to two of the filter's bits.
func bits(p uint64) (one, two uint16) {
	p *= 0x9e3779b97f4a7c15
	return uint16(p >> 48), uint16(p >> 32) // #nosec G115 -- parts of a hash
}

// escaped returns a secret as a server may repeat it: in clear, and escaped for JSON or a URL.
func escaped(secret string) [][]byte {
	quoted, _ := json.Marshal(secret)
	all := []string{secret, strings.Trim(string(quoted), `"`), strings.Trim(strconv.QuoteToASCII(secret), `"`),
		url.QueryEscape(secret), url.PathEscape(secret)}
	slices.Sort(all)
	var forms [][]byte
	for _, form := range slices.Compact(all) {
		forms = append(forms, []byte(form))
	}
	return forms
}

// withBase64 returns forms, and the base64 of the secret at each of the three places that it may have in a longer text
// ("user:password"). These are valid until the next one.
func withBase64(secret string, forms [][]byte, space *[]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, form := range forms {
			if !yield(form) {
				return
			}
		}
		for shift := range 3 {
			whole := len(secret) - (shift+len(secret))%3 // bytes behind it are shared with what follows
			if whole < 6 {
				continue
			}
			text := append(make([]byte, shift, shift+whole), secret[:whole]...)
			*space = base64.StdEncoding.AppendEncode((*space)[:0], text)
			if skip := (shift*8 + 5) / 6; !yield((*space)[skip:]) { // characters shared with what stands before
				return
			}
		}
	}
}
