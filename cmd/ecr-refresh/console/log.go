// Package console writes what people read: the log in sentences, colours and progress on a terminal, questions.
package console

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
)

// HintKey is the key of a log record's attribute that is a hint. It stands for the error of steps.FailureKey, too.
const HintKey = "hint"

// Log is where and how to write a log.
type Log struct {
	Writer io.Writer
	Level  slog.Level
	JSON   bool
	Paint  Painter
	Hint   func(error) string // returns what to do about an error, or ""
}

// Logger returns the logger.
func (l Log) Logger() *slog.Logger {
	if l.JSON {
		return slog.New(slog.NewJSONHandler(l.Writer, &slog.HandlerOptions{Level: l.Level, ReplaceAttr: l.hinted}))
	}
	return slog.New(&sentences{Log: l, mu: &sync.Mutex{}})
}

// hinted returns the hint in place of an attribute's error, which the message has already.
func (l Log) hinted(_ []string, a slog.Attr) slog.Attr {
	if a.Key != steps.FailureKey {
		return a
	}
	err, _ := a.Value.Any().(error)
	if hint := l.Hint(err); hint != "" {
		return slog.String(HintKey, hint)
	}
	return slog.Attr{}
}

// sentences writes a log that reads well in Airflow's log page, which adds the time itself:
// "ecr-refresh: warning: …", and a hint on a line of its own.
type sentences struct {
	Log
	mu    *sync.Mutex
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *sentences) Enabled(_ context.Context, level slog.Level) bool { return level >= h.Level }

// Handle implements slog.Handler.
func (h *sentences) Handle(_ context.Context, r slog.Record) error {
	line, hint := r.Message, ""
	add := func(a slog.Attr) bool {
		a.Value = a.Value.Resolve()
		switch a = h.hinted(nil, a); a.Key {
		case "":
		case HintKey:
			hint = a.Value.String()
		default:
			line += " " + a.String()
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	line = "ecr-refresh: " + h.prefix(r.Level) + OneLine(line) + "\n"
	if hint != "" {
		line += "ecr-refresh: " + h.Paint.Good("hint:") + " " + OneLine(hint) + "\n"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.Writer, line)
	return err
}

// OneLine keeps text from forging a second line, or a colour: it may have a path or a name that somebody else chose.
func OneLine(text string) string {
	return failure.Clean(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

func (h *sentences) prefix(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return h.Paint.Bad("error:") + " "
	case level >= slog.LevelWarn:
		return h.Paint.Warn("warning:") + " "
	case level < slog.LevelInfo:
		return h.Paint.Dim("debug:") + " "
	}
	return ""
}

// WithAttrs implements slog.Handler.
func (h *sentences) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(with.attrs[:len(with.attrs):len(with.attrs)], attrs...)
	return &with
}

// WithGroup implements slog.Handler; nothing here uses groups.
func (h *sentences) WithGroup(string) slog.Handler { return h }
