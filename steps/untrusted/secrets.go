package untrusted

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

const (
	redacted = "[redacted]"

	piece    = 8       // bytes of a secret that are not shown: servers cut what they quote
	shortest = 4       // bytes of a secret: less stands in many a word, and is soon guessed
	maxTexts = 200     // different texts that are shown
	minTexts = 8       // of them with the most secrets
	maxWork  = 8 << 20 // bytes of secrets that the others are compared with: half a second's work
)

// Conceal makes every Text leave out a secret, from now on. It is one set for the whole process, since any server may
// repeat any secret, and a set that had to be passed on could be forgotten.
func Conceal(secret string) { process.conceal(secret) }

var process = newSecrets()

// secrets knows what no Text may show, and what was shown.
type secrets struct {
	mu            sync.Mutex
	held          map[string]bool
	size          int               // bytes of these
	shown         map[string]string // the texts, as they are shown
	texts, hidden int               // texts that were shown, and those that were not
}

func newSecrets() *secrets { return &secrets{held: map[string]bool{}, shown: map[string]string{}} }

func (s *secrets) conceal(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(secret) < shortest || s.held[secret] {
		return
	}
	s.held[secret] = true
	s.size += len(secret)
	clear(s.shown) // they may hold it
}

// show returns what may be shown of text. Each text is scrubbed once, and only so many are: others are counted.
func (s *secrets) show(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	shown, done := s.shown[text]
	switch {
	case done:
	case s.texts >= min(maxTexts, minTexts+maxWork/(s.size+1)):
		s.hidden++
		return fmt.Sprintf("[%d more messages are not shown]", s.hidden)
	default:
		s.texts++
		shown = s.redact(line(text))
		s.shown[text] = shown
	}
	return shown
}

// redact replaces every piece of every form of every secret in a line, in any case. A line that holds a secret shorter
// than a piece is replaced whole: what is left around the gaps would reveal it.
func (s *secrets) redact(line string) string {
	const covered = "\xff\xff\xff\xff\xff\xff\xff\xff" // no UTF-8
	open, text := []byte(line), lower([]byte(line))
	places := map[uint64][]int{} // by piece
	var filter [1 << 16]bool     // of places, which has few pieces of secrets
	for i := range len(line) - piece + 1 {
		p := binary.NativeEndian.Uint64(text[i:])
		places[p] = append(places[p], i)
		filter[hash(p)] = true
	}
	for secret := range s.held {
		for _, form := range forms(secret) {
			if lower(form); len(secret) < piece && bytes.Contains(text, form) {
				return redacted
			}
			for i := range len(form) - piece + 1 {
				if p := binary.NativeEndian.Uint64(form[i:]); filter[hash(p)] {
					for _, at := range places[p] {
						copy(open[at:], covered)
					}
				}
			}
		}
	}
	return strings.ToValidUTF8(string(open), redacted) // one for each run of covered bytes
}

// lower makes the ASCII letters of text lower case, as mime and net/url do with what a header names, and returns it.
func lower(text []byte) []byte {
	for i, b := range text {
		if 'A' <= b && b <= 'Z' {
			text[i] += 'a' - 'A'
		}
	}
	return text
}

// hash is Fibonacci's.
func hash(p uint64) uint16 { return uint16(p * 0x9e3779b97f4a7c15 >> 48) } // #nosec G115 -- its upper bits

// forms returns a secret as a server may repeat it: in clear, as line leaves it, escaped for JSON or a URL, and in
// base64 at each of the three places that it may have in a longer text ("user:password").
func forms(secret string) [][]byte {
	quoted, _ := json.Marshal(secret)
	all := [][]byte{[]byte(secret)}
	for _, form := range []string{line(secret), strings.Trim(string(quoted), `"`),
		strings.Trim(strconv.QuoteToASCII(secret), `"`), url.QueryEscape(secret), url.PathEscape(secret)} {
		if form != secret && len(form) >= shortest {
			all = append(all, []byte(form))
		}
	}
	for shift := range 3 {
		whole := len(secret) - (shift+len(secret))%3 // bytes behind it are shared with what follows
		if whole < 6 {
			continue
		}
		text := append(make([]byte, shift), secret[:whole]...)
		skip := (shift*8 + 5) / 6 // characters shared with what stands before
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			all = append(all, encoding.AppendEncode(nil, text)[skip:])
		}
	}
	return all
}
