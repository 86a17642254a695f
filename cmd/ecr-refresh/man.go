package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// man prints the manual page. The library's own generator leaves out what --help describes, and takes "[…] (…)" for a link.
func (p *program) man() *cli.Command {
	return &cli.Command{
		Name:            "man",
		Usage:           "print the manual page, as roff",
		Hidden:          true,
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action: func(c *cli.Context) error {
			_, err := io.WriteString(p.stdout, manPage(c.App))
			return err
		},
	}
}

func manPage(app *cli.App) string {
	var page roff
	page.line(".TH ECR-REFRESH 1 \"\" " + `"ecr-refresh ` + escaped(strings.Fields(app.Version)[0]) + `"`)
	page.line(".SH NAME")
	page.line(escaped(app.Name) + ` \- ` + escaped(app.Usage))
	page.line(".SH SYNOPSIS")
	page.line(escaped(app.UsageText))
	page.line(".SH DESCRIPTION")
	page.description(app.Description)
	page.flags(app.VisibleFlags())
	page.line(".SH COMMANDS")
	page.commands("", app.VisibleCommands())
	return page.String()
}

// roff is a page as man reads it.
type roff struct{ strings.Builder }

func (r *roff) line(text string) { r.WriteString(text + "\n") }

func (r *roff) commands(parent string, commands []*cli.Command) {
	for _, c := range commands {
		if c.Name == "help" {
			continue
		}
		r.line(".SS " + escaped(parent+c.Name))
		r.line(escaped(c.Usage))
		r.line(".PP")
		r.description(c.Description)
		r.flags(c.VisibleFlags())
		r.commands(parent+c.Name+" ", c.Subcommands)
	}
}

// description gives prose to be filled, and what holds indented lines, as examples do, as it stands.
func (r *roff) description(text string) {
	for part := range strings.SplitSeq(text, "\n\n") {
		asItStands := strings.Contains(part, "\n  ")
		if asItStands {
			r.line(".nf")
		}
		for line := range strings.SplitSeq(part, "\n") {
			r.line(escaped(line))
		}
		if asItStands {
			r.line(".fi")
		}
		r.line(".PP")
	}
}

// flags says of each what --help does.
func (r *roff) flags(flags []cli.Flag) {
	for _, flag := range flags {
		name, usage, _ := strings.Cut(flag.String(), "\t")
		r.line(fmt.Sprintf(".TP\n\\fB%s\\fR\n%s", escaped(strings.TrimSpace(name)), escaped(strings.TrimSpace(usage))))
	}
}

// escaped keeps text from being read as a command, and its signs from being made typographic.
func escaped(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `…`, `...`).Replace(text)
	if strings.HasPrefix(text, ".") {
		return `\&` + text
	}
	return text
}
