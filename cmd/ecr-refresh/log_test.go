package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

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
		{"attributes", func(l *slog.Logger) { l.With("a", 1).Info("done", "b", "two") }, "ecr-refresh: done a=1 b=two\n"},
		{"hint", func(l *slog.Logger) { l.Error("broken", "hint", "mend it", "n", 1) },
			"ecr-refresh: error: broken n=1\necr-refresh: hint: mend it\n"},
		{"no second line out of a message", func(l *slog.Logger) { l.Info("a\necr-refresh: forged\n") }, "ecr-refresh: a; ecr-refresh: forged\n"},
		{"nor out of an attribute", func(l *slog.Logger) { l.Info("a", "b", "c\nforged") }, "ecr-refresh: a b=c; forged\n"},
		{"nor out of a hint", func(l *slog.Logger) { l.Info("a", "hint", "b\nforged") }, "ecr-refresh: a\necr-refresh: hint: b; forged\n"},
		{"no control character", func(l *slog.Logger) { l.Info("a\r\x1b[31mred\x00\u0085b") }, "ecr-refresh: a red  b\n"},
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
			row.log(slog.New(newSentences(&out, slog.LevelInfo, painter{})))
			if out.String() != row.want {
				t.Errorf("got  %q\nwant %q", out.String(), row.want)
			}
		})
	}
}

func TestSentencesKeepLinesWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(newSentences(&out, slog.LevelInfo, painter{}))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { log.With("a", 1).Warn("look", "hint", "there") })
	}
	all.Wait()
	if want := strings.Repeat("ecr-refresh: warning: look a=1\necr-refresh: hint: there\n", 50); out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestNewLog(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ format, level, fault string }{
		{"text", "info", ""}, {"json", "WARN", ""}, {"text", "debug", ""},
		{"xml", "info", `read --log-format: "xml" is no format`},
		{"text", "loud", `read --log-level: "loud" is no level`},
		{"text", "", `read --log-level: "" is no level`},
	} {
		_, err := newLog(&bytes.Buffer{}, row.format, row.level, painter{})
		if row.fault == "" && err != nil || row.fault != "" && (!failure.IsPermanent(err) || err.Error() != row.fault) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	const useless = "ecr-refresh: a retry cannot help: change something first\n"
	for _, row := range []struct {
		err  error
		want string
	}{
		{errors.New("lost"), "ecr-refresh: error: lost\n"},
		{failure.Transient("wait", "lost"), "ecr-refresh: error: lost\necr-refresh: hint: wait\n"},
		{failure.Permanent("mend", "wrong"), "ecr-refresh: error: wrong\necr-refresh: hint: mend\n" + useless},
		{failure.Permanent("", "wrong"), "ecr-refresh: error: wrong\n" + useless},
	} {
		var out bytes.Buffer
		report(slog.New(newSentences(&out, slog.LevelInfo, painter{})), row.err)
		if out.String() != row.want {
			t.Errorf("got  %q\nwant %q", out.String(), row.want)
		}
	}
}

func TestReportInJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := newLog(&out, "json", "error", painter{})
	if err != nil {
		t.Fatal(err)
	}
	report(log, failure.Permanent("mend\nit", "wrong"))
	var line struct{ Level, Msg, Hint string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Level != "ERROR" || line.Msg != "wrong" || line.Hint != "mend\nit" {
		t.Errorf("%+v, %v: %s", line, err, out.String())
	}
}
