package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/command"
)

// man prints the manual page, as roff: what --help prints, of the program and of each command. The library's own
// generator leaves out the descriptions.
func (p *program) man() *cli.Command {
	return &cli.Command{
		Name:            "man",
		Usage:           "print the manual page, as roff",
		Hidden:          true,
		HideHelpCommand: true,
		OnUsageError:    command.UsageError,
		Action: func(c *cli.Context) error {
			version, _, _ := strings.Cut(c.App.Version, " ")
			fmt.Fprintf(p.Stdout, ".TH ECR-REFRESH 1 \"\" \"ecr-refresh %s\"\n.SH NAME\n%s \\- %s\n",
				escaped(version), escaped(c.App.Name), escaped(c.App.Usage))
			p.manSection(".SH DESCRIPTION", cli.AppHelpTemplate, c.App)
			fmt.Fprintln(p.Stdout, ".SH COMMANDS")
			p.manCommands(c.App.Name, c.App.VisibleCommands())
			return nil
		},
	}
}

func (p *program) manCommands(parent string, commands []*cli.Command) {
	for _, c := range commands {
		c.HelpName = parent + " " + c.Name // the library sets it where a command runs
		p.manSection(".SS "+escaped(c.HelpName), cli.CommandHelpTemplate, c)
		p.manCommands(c.HelpName, c.Subcommands)
	}
}

// manSection prints what --help prints, unfilled.
func (p *program) manSection(title, template string, data any) {
	var text strings.Builder
	cli.HelpPrinter(&text, template, data)
	_, _ = io.WriteString(p.Stdout, title+"\n.nf\n"+escaped(strings.TrimSpace(text.String()))+"\n.fi\n")
}

// escaped keeps roff from reading text as a command, and from making its signs typographic.
func escaped(text string) string {
	return strings.NewReplacer("\n.", "\n\\&.",
		`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `…`, `...`,
	).Replace(text)
}
