package main

import (
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// alike is how much a word must have of a name, by Jaro and Winkler's measure of 0 to 1, to be taken for it.
const alike = 0.8

// didYouMean gives the hint that names what word was probably meant to be; "" where nothing is like it.
func didYouMean(word string, names []string) string {
	meant, best := "", alike
	for _, name := range names {
		if likeness := smetrics.JaroWinkler(strings.TrimLeft(name, "-"), strings.TrimLeft(word, "-"), 0.7, 4); likeness >= best {
			meant, best = name, likeness
		}
	}
	if meant == "" {
		return ""
	}
	return "did you mean " + meant + "?"
}

func commandNames(commands []*cli.Command) (names []string) {
	for _, command := range commands {
		if !command.Hidden {
			names = append(names, command.Name)
		}
	}
	return names
}

func flagNames(flags []cli.Flag) (names []string) {
	for _, flag := range flags {
		names = append(names, "--"+flag.Names()[0])
	}
	return names
}
