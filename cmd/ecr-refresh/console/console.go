// Package console writes what people read: the log in sentences, colours, questions on a terminal.
package console

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// NewLog returns a log of sentences, or of JSON objects. hint returns what to do about an error, or "".
func NewLog(w io.Writer, level slog.Level, asJSON bool, hint func(error) string) *slog.Logger {
	hinted := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key != steps.FailureKey {
			return a
		}
		err, _ := a.Value.Any().(error) // which the message has already
		if text := hint(err); text != "" {
			return slog.String("hint", text)
		}
		return slog.Attr{}
	}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: hinted}))
	}
	return slog.New(&sentences{Painter: Paint(w), out: log.New(w, "", 0), level: level, hinted: hinted})
}

// sentences writes a log that reads well in Airflow's log page, which adds the time itself:
// "ecr-refresh: warning: …", and a hint on a line of its own.
type sentences struct {
	Painter
	out    *log.Logger
	level  slog.Level
	hinted func([]string, slog.Attr) slog.Attr
}

func (h *sentences) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *sentences) Handle(_ context.Context, r slog.Record) error {
	line, hint := r.Message, ""
	r.Attrs(func(a slog.Attr) bool {
		if a = h.hinted(nil, a); a.Key == "hint" {
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

// IsTerminal reports whether stream is a terminal.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Painter colours words for a terminal. The zero Painter leaves them as they are.
type Painter struct{ on bool }

// Paint returns the painter for w: colours are for terminals, unless NO_COLOR is set (https://no-color.org).
func Paint(w io.Writer) Painter {
	return Painter{IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Good returns text in green.
func (p Painter) Good(text string) string { return p.as("32", text) }

// Warn returns text in yellow.
func (p Painter) Warn(text string) string { return p.as("33", text) }

// Bad returns text in red.
func (p Painter) Bad(text string) string { return p.as("31", text) }

// Dim returns text in grey.
func (p Painter) Dim(text string) string { return p.as("2", text) }

func (p Painter) as(code, text string) string {
	if !p.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Prompt asks questions on a terminal.
type Prompt struct {
	In  *os.File
	Out io.Writer
}

// Line returns the line that is typed.
func (p Prompt) Line(question string) string {
	fmt.Fprint(p.Out, "ecr-refresh: ", question)
	line := make([]byte, 1024) // a terminal gives one line at a time
	n, _ := p.In.Read(line)
	return strings.TrimSpace(string(line[:n]))
}

// Password returns what is typed, without an echo. It restores the echo when ctx ends.
func (p Prompt) Password(ctx context.Context, question string) (secret.Secret, error) {
	fmt.Fprint(p.Out, "ecr-refresh: ", question)
	fd := int(p.In.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return secret.Secret{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = term.Restore(fd, state) })()
	text, err := term.ReadPassword(fd)
	fmt.Fprintln(p.Out)
	return secret.New(string(text)), err
}
