package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
)

// newLog makes the log of a command: format is text or json, level is slog's name of one.
func newLog(w io.Writer, format, level string, colours painter) (*slog.Logger, error) {
	var min slog.Level
	if err := min.UnmarshalText([]byte(level)); err != nil {
		return nil, failure.Permanent("give debug, info, warn or error", "read --log-level: %q is no level", level)
	}
	switch format {
	case "text":
		return slog.New(newSentences(w, min, colours)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: min})), nil
	}
	return nil, failure.Permanent("give text or json", "read --log-format: %q is no format", format)
}

// sentences writes a log that reads well in Airflow's log page, which adds the time itself:
// "ecr-refresh: warning: …", and a hint on a line of its own.
type sentences struct {
	w     io.Writer
	min   slog.Level
	mu    *sync.Mutex
	attrs []slog.Attr
	paint painter
}

func newSentences(w io.Writer, min slog.Level, colours painter) *sentences {
	return &sentences{w: w, min: min, mu: &sync.Mutex{}, paint: colours}
}

// Enabled implements slog.Handler.
func (h *sentences) Enabled(_ context.Context, level slog.Level) bool { return level >= h.min }

// Handle implements slog.Handler.
func (h *sentences) Handle(_ context.Context, r slog.Record) error {
	line, hint := r.Message, ""
	add := func(a slog.Attr) bool {
		a.Value = a.Value.Resolve()
		if a.Key == steps.FailureKey {
			hint = hintOf(a.Value.Any().(error))
		} else if a.Key == "hint" {
			hint = a.Value.String()
		} else {
			line += " " + a.String()
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	line = "ecr-refresh: " + h.prefix(r.Level) + oneLine(line) + "\n"
	if hint != "" {
		line += "ecr-refresh: " + h.paint.good("hint:") + " " + oneLine(hint) + "\n"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, line)
	return err
}

// oneLine keeps text from forging a second line, or a colour: it may hold a path or a name that somebody else chose.
func oneLine(text string) string {
	return failure.Clean(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

func (h *sentences) prefix(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return h.paint.bad("error:") + " "
	case level >= slog.LevelWarn:
		return h.paint.warn("warning:") + " "
	case level < slog.LevelInfo:
		return h.paint.dim("debug:") + " "
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

// report writes err with its hint, and where a retry is of no use it says so: Airflow before 3.3 retries all the same.
func report(log *slog.Logger, err error) {
	var attrs []any
	if hint := hintOf(err); hint != "" {
		attrs = append(attrs, "hint", hint)
	}
	log.Error(err.Error(), attrs...)
	if failure.IsPermanent(err) {
		log.Info("a retry cannot help: change something first")
	}
}
