package console

import (
	"bytes"
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

// newLog returns a log whose hints are kinds.
func newLog(w io.Writer) *slog.Logger {
	kind := func(err error) string {
		kind, _ := failure.Describe(err)
		return string(kind)
	}
	return NewLog(w, slog.LevelInfo, false, kind)
}
