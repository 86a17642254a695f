package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// man prints what --help prints, of the program and of each command, as roff. The library's own generator leaves out
// the descriptions.
func (p *program) man() *cli.Command {
	return &cli.Command{
		Name:            "man",
		Usage:           "print the manual page, as roff",
		Hidden:          true,
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action: func(c *cli.Context) error {
			version, _, _ := strings.Cut(c.App.Version, " ")
			fmt.Fprintf(p.stdout, ".TH ECR-REFRESH 1 \"\" \"ecr-refresh %s\"\n", escaped(version))
			fmt.Fprintf(p.stdout, ".SH NAME\n%s \\- %s\n", escaped(c.App.Name), escaped(c.App.Usage))
			p.manSection(".SH DESCRIPTION", cli.AppHelpTemplate, c.App)
			fmt.Fprintln(p.stdout, ".SH COMMANDS")
			for _, command := range c.App.VisibleCommands() {
				p.manSection(".SS "+escaped(command.HelpName), cli.CommandHelpTemplate, command)
				for _, sub := range command.Subcommands {
					sub.HelpName = command.HelpName + " " + sub.Name // as the library does before it runs one
					p.manSection(".SS "+escaped(sub.HelpName), cli.CommandHelpTemplate, sub)
				}
			}
			return nil
		},
	}
}

// manSection prints what --help prints, unfilled.
func (p *program) manSection(title, template string, data any) {
	var text strings.Builder
	cli.HelpPrinter(&text, template, data)
	fmt.Fprintf(p.stdout, "%s\n.nf\n%s\n.fi\n", title, escaped(strings.TrimSpace(text.String())))
}

// escaped keeps roff from reading text as a command, and from making its signs typographic.
func escaped(text string) string {
	return strings.NewReplacer("\n.", "\n\\&.",
		`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `…`, `...`,
	).Replace(text)
}
