package console

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
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
			row.log(newLog(&out, false))
			if out.String() != row.want {
				t.Errorf("got  %q\nwant %q", out.String(), row.want)
			}
		})
	}
}

func TestFailureHasItsHintAndNoSecondMessage(t *testing.T) {
	t.Parallel()
	hint := failure.Permanent("mend\nit", "wrong")
	for _, row := range []struct {
		err        error
		text, json string
	}{
		{hint, "ecr-refresh: error: wrong\necr-refresh: hint: mend; it\n", `"msg":"wrong","hint":"mend\nit"}`},
		{errors.New("lost"), "ecr-refresh: error: lost\n", `"msg":"lost"}`},
	} {
		var text, line bytes.Buffer
		newLog(&text, false).Error(row.err.Error(), steps.FailureKey, row.err)
		newLog(&line, true).Error(row.err.Error(), steps.FailureKey, row.err)
		_, json, _ := strings.Cut(line.String(), `"level":"ERROR",`)
		if text.String() != row.text || json != row.json+"\n" {
			t.Errorf("got  %q, %q\nwant %q, %q", &text, json, row.text, row.json)
		}
	}
}

// newLog returns a log whose hints are kinds.
func newLog(w io.Writer, asJSON bool) *slog.Logger {
	kind := func(err error) string {
		kind, _ := failure.Describe(err)
		return string(kind)
	}
	return NewLog(w, slog.LevelInfo, asJSON, kind)
}
