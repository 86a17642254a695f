package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

func TestSentences(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"information", func(l *slog.Logger) { l.Info("done") }, "ecr-refresh: done\n"},
		{"warning", func(l *slog.Logger) { l.Warn("look") }, "ecr-refresh: warning: look\n"},
		{"error", func(l *slog.Logger) { l.Error("broken") }, "ecr-refresh: error: broken\n"},
		{"debug is below the level", func(l *slog.Logger) { l.Debug("detail") }, ""},
		{"attributes", func(l *slog.Logger) { l.With("a", 1).Info("done", "b", "two") },
			"ecr-refresh: done a=1 b=two\n"},
		{"hint", func(l *slog.Logger) { l.Error("broken", "hint", "mend it", "n", 1) },
			"ecr-refresh: error: broken n=1\necr-refresh: hint: mend it\n"},
		{"no second line out of a message", func(l *slog.Logger) { l.Info("a\necr-refresh: forged\n") },
			"ecr-refresh: a; ecr-refresh: forged\n"},
		{"nor out of an attribute", func(l *slog.Logger) { l.Info("a", "b", "c\nforged") },
			"ecr-refresh: a b=c; forged\n"},
		{"nor out of a hint", func(l *slog.Logger) { l.Info("a", "hint", "b\nforged") },
			"ecr-refresh: a\necr-refresh: hint: b; forged\n"},
		{"no control character", func(l *slog.Logger) { l.Info("a\r\x1b[31mred\x00\u0085b") },
			"ecr-refresh: a red  b\n"},
		{"no secret", func(l *slog.Logger) { l.With("a", secret.New("S3CRET")).Info("x", "b", secret.New("S3CRET")) },
			"ecr-refresh: x a=[redacted] b=[redacted]\n"},
		{"loggers made of one do not share attributes", func(l *slog.Logger) {
			base := l.With("a", 1).With("b", 2).With("c", 3) // a slice of 3 in an array of 4
			one, two := base.With("d", 4), base.With("e", 5)
			one.Info("one")
			two.Info("two")
		}, "ecr-refresh: one a=1 b=2 c=3 d=4\necr-refresh: two a=1 b=2 c=3 e=5\n"},
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

func TestSentencesKeepLinesWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newLog(&out, false)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { log.With("a", 1).Warn("look", "hint", "there") })
	}
	all.Wait()
	if want := strings.Repeat("ecr-refresh: warning: look a=1\necr-refresh: hint: there\n", 50); out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestFailureHasItsHintAndNoSecondMessage(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		text string
		want map[string]string
	}{
		{failure.Permanent("mend\nit", "wrong"), "ecr-refresh: error: wrong\necr-refresh: hint: mend; it\n",
			map[string]string{"level": "ERROR", "msg": "wrong", "hint": "mend\nit"}},
		{errors.New("lost"), "ecr-refresh: error: lost\n", map[string]string{"level": "ERROR", "msg": "lost"}},
	} {
		var text, line bytes.Buffer
		newLog(&text, false).Error(row.err.Error(), steps.FailureKey, row.err)
		newLog(&line, true).Error(row.err.Error(), steps.FailureKey, row.err)
		if text.String() != row.text {
			t.Errorf("got  %q\nwant %q", text.String(), row.text)
		}
		got := map[string]string{}
		err := json.Unmarshal(line.Bytes(), &got)
		delete(got, "time")
		if err != nil || !maps.Equal(got, row.want) {
			t.Errorf("%v, %v: %s", got, err, line.String())
		}
	}
}

// newLog returns a log whose hints are kinds.
func newLog(w io.Writer, asJSON bool) *slog.Logger {
	kind := func(err error) string {
		kind, _ := failure.Describe(err)
		return string(kind)
	}
	return Log{Writer: w, JSON: asJSON, Hint: kind}.Logger()
}
