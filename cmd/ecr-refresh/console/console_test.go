package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"testing"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

func TestSentences(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, want string
		log        func(*slog.Logger)
	}{
		{"information", "ecr-refresh: done a=1 b=two\n", func(l *slog.Logger) { l.Info("done", "a", 1, "b", "two") }},
		{"warning and hint", "ecr-refresh: warning: look n=1\necr-refresh: hint: there\n",
			func(l *slog.Logger) { l.Warn("look", "hint", "there", "n", 1) }},
		{"failure and hint", "ecr-refresh: error: wrong\necr-refresh: hint: mend; it\n",
			func(l *slog.Logger) { l.Error("wrong", steps.FailureKey, failure.Permanent("mend\nit", "wrong")) }},
		{"failure without a hint", "ecr-refresh: error: lost\n",
			func(l *slog.Logger) { l.Error("lost", steps.FailureKey, errors.New("lost")) }},
		{"no second line out of a message", "ecr-refresh: a; ecr-refresh: forged b=c; forged\n",
			func(l *slog.Logger) { l.Info("a\necr-refresh: forged", "b", "c\nforged") }},
		{"no control character", "ecr-refresh: a red  b\n",
			func(l *slog.Logger) { l.Info("a\r\x1b[31mred\x00\u0085b") }},
		{"no secret", "ecr-refresh: x b=[redacted]\n",
			func(l *slog.Logger) { l.Info("x", "b", secret.New("S3CRET")) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			row.log(newLog(&out))
			if out.String() != row.want {
				t.Errorf("got  %q\nwant %q", out.String(), row.want)
			}
		})
	}
}

// What a terminal may obey, or not show, is shown as in JSON; a colour of Paint is left, another sequence not.
func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\tb → ü …\n":                            "a\tb → ü …\n",
		"\x1b[32mok\x1b[0m \x1b[2J\x1b[1;31mx":    "\x1b[32mok\x1b[0m \\u001b[2J\\u001b[1;31mx",
		"a\rb\x00\x7f\u009b31m\u202e\u2066\u200b": `a\u000db\u0000\u007f\u009b31m\u202e\u2066\u200b`,
		"\U000e0041": `\udb40\udc41`,
		"\xff\xfe":   "\xff\xfe",
	} {
		var out bytes.Buffer
		n, err := Printable{&out}.Write([]byte(text))
		if out.String() != want || n != len(text) || err != nil {
			t.Errorf("%q is written as %q (%d, %v), want %q", text, out.String(), n, err, want)
		}
	}
	value := []string{"a\u009b31m\u202e\U000e0041"}
	text, _ := json.Marshal(value)
	var out bytes.Buffer
	_, _ = Printable{&out}.Write(text)
	var read []string
	if err := json.Unmarshal(out.Bytes(), &read); err != nil || read[0] != value[0] {
		t.Errorf("%s is %q, %v", out.Bytes(), read, err)
	}
}

// newLog returns a log whose hints are kinds.
func newLog(w io.Writer) *slog.Logger {
	kind := func(err error) string {
		kind, _ := failure.Describe(err)
		return string(kind)
	}
	return NewLog(w, slog.LevelInfo, false, kind)
}
