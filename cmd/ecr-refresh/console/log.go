// Package console writes what people read: the log in sentences, colours, questions on a terminal.
package console

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
)

// hintKey is the key of a log record's attribute that is a hint. It stands for the error of steps.FailureKey, too.
const hintKey = "hint"

// Log is where and how to write a log.
type Log struct {
	Writer io.Writer
	Level  slog.Level
	JSON   bool
	Hint   func(error) string // returns what to do about an error, or ""
}

// Logger returns the logger.
func (l Log) Logger() *slog.Logger {
	if l.JSON {
		return slog.New(slog.NewJSONHandler(l.Writer, &slog.HandlerOptions{Level: l.Level, ReplaceAttr: l.hinted}))
	}
	return slog.New(&sentences{Log: l, Painter: Paint(l.Writer), out: log.New(l.Writer, "", 0)})
}

// hinted returns the hint in place of an attribute's error, which the message has already.
func (l Log) hinted(_ []string, a slog.Attr) slog.Attr {
	if a.Key != steps.FailureKey {
		return a
	}
	err, _ := a.Value.Any().(error)
	if hint := l.Hint(err); hint != "" {
		return slog.String(hintKey, hint)
	}
	return slog.Attr{}
}

// sentences writes a log that reads well in Airflow's log page, which adds the time itself:
// "ecr-refresh: warning: …", and a hint on a line of its own.
type sentences struct {
	Log
	Painter
	out *log.Logger
}

func (h *sentences) Enabled(_ context.Context, level slog.Level) bool { return level >= h.Level }

func (h *sentences) Handle(_ context.Context, r slog.Record) error {
	line, hint := r.Message, ""
	r.Attrs(func(a slog.Attr) bool {
		if a = h.hinted(nil, a); a.Key == hintKey {
			hint = "\necr-refresh: " + h.Good("hint:") + " " + oneLine(a.Value.String())
		} else if a.Key != "" {
			line += " " + a.String()
		}
		return true
	})
	prefix := map[slog.Level]string{
		slog.LevelDebug: h.Dim("debug:") + " ",
		slog.LevelWarn:  h.Warn("warning:") + " ",
		slog.LevelError: h.Bad("error:") + " ",
	}[r.Level]
	return h.out.Output(0, "ecr-refresh: "+prefix+oneLine(line)+hint)
}

// oneLine keeps text from forging a second line, or a colour: it may have a path or a name that somebody else chose.
func oneLine(text string) string {
	return failure.Clean(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

// Nothing here uses a logger's own attributes, or groups.
func (h *sentences) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *sentences) WithGroup(string) slog.Handler      { return h }
