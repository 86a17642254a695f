package console

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"ecr-refresh/steps/secret"
)

// IsTerminal reports whether w is a terminal that can colour and erase.
func IsTerminal(w any) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// Painter colours words for a terminal. The zero Painter leaves them as they are.
type Painter struct{ on bool }

// Paint returns the painter for w: colours are for terminals, unless NO_COLOR is set (https://no-color.org).
func Paint(w io.Writer) Painter { return Painter{IsTerminal(w) && os.Getenv("NO_COLOR") == ""} }

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

// Progress is a terminal whose last line shows what has been running for longer than a second. Whatever is written
// replaces that line.
type Progress struct {
	w     io.Writer
	mu    sync.Mutex
	shown bool
}

// NewProgress returns a Progress on the terminal w.
func NewProgress(w io.Writer) *Progress { return &Progress{w: w} }

const eraseLine = "\r\x1b[K"

// Write implements io.Writer.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	return p.w.Write(text)
}

func (p *Progress) erase() {
	if p.shown {
		_, _ = io.WriteString(p.w, eraseLine)
		p.shown = false
	}
}

// During shows the line each second until the function that it returns is called.
func (p *Progress) During(what string) (end func()) {
	began, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				p.show(fmt.Sprintf("%s: %d s …", what, int(now.Sub(began).Seconds())))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		p.mu.Lock()
		defer p.mu.Unlock()
		p.erase()
	}
}

func (p *Progress) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	_, _ = io.WriteString(p.w, line)
	p.shown = true
}

// Prompt asks questions on a terminal.
type Prompt struct {
	In  *os.File
	Out io.Writer
}

// Line returns the line that is typed.
func (p Prompt) Line(question string) string {
	fmt.Fprint(p.Out, "ecr-refresh: ", question)
	var line strings.Builder
	for b := make([]byte, 1); ; { // byte by byte: what follows the line is another program's
		if n, err := p.In.Read(b); n == 0 || err != nil || b[0] == '\n' {
			return strings.TrimSpace(line.String())
		}
		line.WriteByte(b[0])
	}
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
