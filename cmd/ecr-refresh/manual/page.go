// Package manual tells people how to call the program: the manual page, completion in shells, suggestions for typing
// errors.
package manual

import (
	"bytes"
	"strings"

	"github.com/urfave/cli/v2"
)

// Page returns the manual page of app, as roff: what --help prints of it and of each command. The library's own
// generator leaves out the descriptions.
func Page(app *cli.App) string {
	page := ".TH ECR-REFRESH 1 \"\" \"ecr-refresh " + escaped(strings.Fields(app.Version)[0]) + "\"\n" +
		".SH NAME\n" + escaped(app.Name) + ` \- ` + escaped(app.Usage) + "\n.SH DESCRIPTION\n"
	return page + help(cli.AppHelpTemplate, app) + ".SH COMMANDS\n" + commands("", app.VisibleCommands())
}

func commands(parent string, all []*cli.Command) (text string) {
	for _, c := range all {
		name := parent + c.Name
		text += ".SS " + escaped(name) + "\n" + help(cli.CommandHelpTemplate, c) + commands(name+" ", c.Subcommands)
	}
	return text
}

// help returns what --help prints, unfilled.
func help(template string, data any) string {
	var text bytes.Buffer
	cli.HelpPrinter(&text, template, data)
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	for i, line := range lines {
		lines[i] = escaped(line)
	}
	return ".nf\n" + strings.Join(lines, "\n") + "\n.fi\n"
}

// escaped keeps roff from reading text as a command, and from making its signs typographic.
func escaped(text string) string {
	text = strings.NewReplacer(
		`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `…`, `...`,
	).Replace(text)
	if strings.HasPrefix(text, ".") {
		return `\&` + text
	}
	return text
}
