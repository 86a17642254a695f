// Package console writes what people read: the log in sentences, colours, questions on a terminal.
package console

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"unicode/utf16"

	"golang.org/x/term"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

// Kinds of failure of a terminal's two ends.
const (
	Usage        failure.Kind = "usage" // Facts.Want: what to do
	StdoutFailed failure.Kind = "stdout not written"
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
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: hinted})
	if asJSON {
		return slog.New(handler)
	}
	return slog.New(&sentences{handler, log.New(w, "", 0), hinted})
}

// sentences writes a log that reads well in Airflow's log page, which adds the time itself:
// "ecr-refresh: warning: …", and a hint on a line of its own. Only the level is left to the Handler: nothing here uses
// a logger's own attributes, or groups.
type sentences struct {
	slog.Handler
	out    *log.Logger
	hinted func([]string, slog.Attr) slog.Attr
}

func (h *sentences) Handle(_ context.Context, r slog.Record) error {
	line, hint := r.Message, ""
	r.Attrs(func(a slog.Attr) bool {
		if a = h.hinted(nil, a); a.Key == "hint" {
			hint = "\necr-refresh: " + Paint(h.out.Writer(), Good, "hint:") + " " + oneLine(a.Value.String())
		} else if a.Key != "" {
			line += " " + a.String()
		}
		return true
	})
	prefix := map[slog.Level]string{
		slog.LevelDebug: Paint(h.out.Writer(), Dim, "debug:") + " ",
		slog.LevelWarn:  Paint(h.out.Writer(), Warn, "warning:") + " ",
		slog.LevelError: Paint(h.out.Writer(), Bad, "error:") + " ",
	}[r.Level]
	return h.out.Output(0, "ecr-refresh: "+prefix+oneLine(line)+hint)
}

// oneLine keeps text from forging a second line, or a colour: it may have a path or a name that somebody else chose.
func oneLine(text string) string {
	return untrusted.Clean(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

// Printable is a stream on which a character that a terminal may obey, or not show, appears as in JSON: \u009b. It lets
// line ends, tabs and Paint's colours pass.
type Printable struct{ io.Writer }

// hidden matches such a character, or a whole colour.
var hidden = regexp.MustCompile(`\x1b\[(3[123]|90|0)m|[^\n\t \pL\pM\pN\pP\pS]`)

// Write writes text so, and returns its length.
func (p Printable) Write(text []byte) (int, error) {
	_, err := p.Writer.Write(hidden.ReplaceAllFunc(text, func(match []byte) (escape []byte) {
		if match[0] == '\x1b' && len(match) > 1 {
			return match
		}
		for _, unit := range utf16.Encode([]rune(string(match))) {
			escape = fmt.Appendf(escape, `\u%04x`, unit)
		}
		return escape
	}))
	return len(text), err
}

// IsTerminal reports whether stream is a terminal.
func IsTerminal(stream any) bool {
	if printable, ok := stream.(Printable); ok {
		stream = printable.Writer
	}
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Colours. Their codes are of one length, so that they move no column of a table.
const (
	Good = "32" // green
	Warn = "33" // yellow
	Bad  = "31" // red
	Dim  = "90" // grey
)

// Paint returns text in a colour if w is a terminal, unless NO_COLOR is set (https://no-color.org).
func Paint(w io.Writer, colour, text string) string {
	if !IsTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Table returns rows in columns.
func Table(rows [][]string) []byte {
	var text bytes.Buffer
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	_ = out.Flush() // into memory
	return text.Bytes()
}

// Ask returns the line that is typed on terminal, after a question.
func Ask(terminal *os.File, out io.Writer, question string) string {
	fmt.Fprint(out, "ecr-refresh: ", question)
	line := make([]byte, 1024) // a terminal returns one line at a time
	n, _ := terminal.Read(line)
	return strings.TrimSpace(string(line[:n]))
}

// AskPassword is Ask without an echo, which it restores when ctx ends.
func AskPassword(ctx context.Context, terminal *os.File, out io.Writer, question string) (secret.Secret, error) {
	fmt.Fprint(out, "ecr-refresh: ", question)
	fd := int(terminal.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return secret.Secret{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = term.Restore(fd, state) })()
	text, err := term.ReadPassword(fd)
	fmt.Fprintln(out)
	return secret.New(string(text)), err
}
