package main

import (
	"fmt"
	"io"
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
			var page strings.Builder
			version, _, _ := strings.Cut(c.App.Version, " ")
			fmt.Fprintf(&page, ".TH ECR-REFRESH 1 \"\" \"ecr-refresh %s\"\n", escaped(version))
			fmt.Fprintf(&page, ".SH NAME\n%s \\- %s\n", escaped(c.App.Name), escaped(c.App.Usage))
			manSection(&page, ".SH DESCRIPTION", cli.AppHelpTemplate, c.App)
			fmt.Fprintln(&page, ".SH COMMANDS")
			for _, command := range c.App.VisibleCommands() {
				manSection(&page, ".SS "+escaped(command.HelpName), cli.CommandHelpTemplate, command)
				for _, sub := range command.Subcommands {
					sub.HelpName = command.HelpName + " " + sub.Name // as the library does before it runs one
					manSection(&page, ".SS "+escaped(sub.HelpName), cli.CommandHelpTemplate, sub)
				}
			}
			_, err := io.WriteString(p.stdout, page.String())
			return err
		},
	}
}

// manSection prints what --help prints, unfilled.
func manSection(page io.Writer, title, template string, data any) {
	var text strings.Builder
	cli.HelpPrinter(&text, template, data)
	fmt.Fprintf(page, "%s\n.nf\n%s\n.fi\n", title, escaped(strings.TrimSpace(text.String())))
}

// escaped keeps roff from reading text as a command, and from making its signs typographic.
func escaped(text string) string {
	return strings.NewReplacer("\n.", "\n\\&.",
		`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `…`, `...`,
	).Replace(text)
}
