package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// painter colours words for a terminal. The zero painter leaves them as they are.
type painter struct{ on bool }

// paint gives the painter for w: colours are for terminals, and for people who want them (https://no-color.org).
func paint(w io.Writer) painter {
	return painter{isTerminal(w) && os.Getenv("NO_COLOR") == ""}
}

// isTerminal tells a terminal that knows how to colour and to erase.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

func (p painter) good(text string) string { return p.as("32", text) }
func (p painter) warn(text string) string { return p.as("33", text) }
func (p painter) bad(text string) string  { return p.as("31", text) }
func (p painter) dim(text string) string  { return p.as("2", text) }

func (p painter) as(code, text string) string {
	if !p.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
