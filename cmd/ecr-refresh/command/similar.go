package command

import (
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// alike is how similar a word must be to a name, by Jaro and Winkler's measure of 0 to 1, to be taken for it.
const alike = 0.8

// similarCommand returns the one of commands that word was probably meant to be, or "".
func similarCommand(word string, commands []*cli.Command) string {
	var names []string
	for _, command := range commands {
		if !command.Hidden {
			names = append(names, command.Name)
		}
	}
	return similar(word, names)
}

// similarFlag is similarCommand for flags.
func similarFlag(word string, flags []cli.Flag) string {
	var names []string
	for _, flag := range flags {
		names = append(names, "--"+flag.Names()[0])
	}
	return similar(word, names)
}

func similar(word string, names []string) (meant string) {
	best := alike
	for _, name := range names {
		likeness := smetrics.JaroWinkler(strings.TrimLeft(name, "-"), strings.TrimLeft(word, "-"), 0.7, 4)
		if likeness >= best {
			meant, best = name, likeness
		}
	}
	return meant
}
