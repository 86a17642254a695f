package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// man prints what --help prints, of the program and of each command, as roff. The library's own generator leaves out
// the descriptions.
func (p *program) man() *cli.Command {
	command := cli.Command{Name: "man", Usage: "print the manual page, as roff", Hidden: true}
	return p.local(command, nil, func(c *call) work {
		return func(context.Context) ([]byte, error) {
			page := fmt.Sprintf(".TH ECR-REFRESH 1 \"\" \"ecr-refresh %s\"\n.SH NAME\n%s \\- %s\n",
				escaped(release), escaped(c.App.Name), escaped(c.App.Usage)) +
				manSection(".SH DESCRIPTION", cli.AppHelpTemplate, c.App) + ".SH COMMANDS\n"
			return []byte(page + manCommands(c.App.Name, c.App.VisibleCommands())), nil
		}
	})
}

func manCommands(parent string, commands []*cli.Command) (page string) {
	for _, c := range commands {
		c.HelpName = parent + " " + c.Name // as the library does before it runs one
		page += manSection(".SS "+escaped(c.HelpName), cli.CommandHelpTemplate, c)
		page += manCommands(c.HelpName, c.Subcommands)
	}
	return page
}

// manSection returns what --help prints, unfilled.
func manSection(title, template string, data any) string {
	var text strings.Builder
	cli.HelpPrinter(&text, template, data)
	return fmt.Sprintf("%s\n.nf\n%s\n.fi\n", title, escaped(strings.TrimSpace(text.String())))
}

// escaped keeps roff from reading text as a command, and from making its signs typographic.
func escaped(text string) string {
	return strings.NewReplacer("\n.", "\n\\&.",
		`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `…`, `...`,
	).Replace(text)
}
