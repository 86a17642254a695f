package untrusted_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ecr-refresh/integration/sandbox/leaks"
	"ecr-refresh/steps/untrusted"
)

const secret = "S3CRETpassw0rd"

func TestString(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"  plain \t words ":                    "plain words",
		"\x1b[31mred\x1b[0m":                   "red",
		"\x1b\x1b[31m[31mred":                  "[31mred",
		"\x1b]0;title\x07x":                    "x",
		"a\x1b[31mred\x1b[0m b\r\nc\td\x00e\a": "ared b c d e",
		"not\xffUTF-8\xfe":                     "not?UTF-8?",
		"a\u0085b\u2028c\u2029d\x00":           "a b c d",
		"right\u202eleft\u200b":                "rightleft",
		"a ::group::x ::endgroup::":            "a group x endgroup",
		"::gro::group::up::x":                  "::grogroup up::x",
		"::gr\x00oup::[fe80::1]:80":            "::gr oup::[fe80::1]:80",
		"at http://user:pw@host/x":             "at http://host/x",
		strings.Repeat("ü", 200):               strings.Repeat("ü", 200),
		strings.Repeat("ü", 201):               strings.Repeat("ü", 200) + "…",
		strings.Repeat(" ", 2<<10) + "x":       "",
		"":                                     "",
	} {
		if got := untrusted.New(raw).String(); got != want {
			t.Errorf("%q is shown as %q, want %q", raw, got, want)
		}
	}
	if got := untrusted.New(strings.Repeat("ü ", 201)).Line(); got != strings.TrimSpace(strings.Repeat("ü ", 201)) {
		t.Errorf("a line is cut: %q", got)
	}
}

// holders are the places that a text may stand in when somebody prints it.
func holders(text untrusted.Text) []any {
	type inner struct{ hidden untrusted.Text }
	type outer struct {
		Shown   untrusted.Text
		inner   inner
		pointer *inner
	}
	return []any{
		text, &text, outer{text, inner{text}, &inner{text}}, &outer{text, inner{text}, nil}, []untrusted.Text{text},
		map[string]untrusted.Text{"a": text}, map[untrusted.Text]int{text: 1}, []any{text, &text},
		fmt.Errorf("it answered %s: %w", text, errors.New("no")),
	}
}

// No way of printing or marshalling shows a text as it is.
func TestTextIsNotPrinted(t *testing.T) {
	t.Parallel()
	untrusted.Conceal(secret)
	for _, holder := range holders(untrusted.New("\x1b[31mred " + secret)) {
		asJSON, _ := json.Marshal(holder)
		printed := leaks.Printed(holder) + string(asJSON)
		if strings.Contains(printed, secret) || strings.Contains(printed, fmt.Sprintf("%x", secret)) ||
			strings.Contains(printed, "\x1b") || strings.Contains(printed, "x1b") {
			t.Errorf("%T shows it: %s", holder, printed)
		}
	}
	got := fmt.Sprintf("%s|%12v|%.3s|%q", untrusted.New("a\nb"), untrusted.New("right"), untrusted.New("cut off"),
		untrusted.New(`say "x"`))
	if want := `a b|       right|cut|"say \"x\""`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	var read struct{ A, B, C untrusted.Text }
	err := json.Unmarshal([]byte(`{"A": "a\u001bb", "B": null}`), &read)
	if err != nil || read.A.Raw() != "a\x1bb" || read.B.Raw()+read.C.Raw() != "" || read.C.String() != "" {
		t.Errorf("%q, %q, %q, %v", read.A.Raw(), read.B.Raw(), read.C.Raw(), err)
	}
	if err := json.Unmarshal([]byte(`{"A": 5}`), &read); err != nil || read.A.Raw() != "" {
		t.Errorf("a number is %q, %v", read.A.Raw(), err)
	}
}

// The blanks around a name are shown as far as a name has them.
func TestBlanks(t *testing.T) {
	t.Parallel()
	if text := fmt.Sprintf("%q", untrusted.New(" x ")); text != `" x "` {
		t.Error(text)
	}
	if text := fmt.Sprintf("%q", untrusted.New(strings.Repeat(" ", 4000)+"x")); len(text) > 400 {
		t.Errorf("%d bytes", len(text))
	}
}
