package console

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"ecr-refresh/steps/secret"
)

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
