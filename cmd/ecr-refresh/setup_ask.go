package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/secret"
)

// askAccount asks for what is missing of an account, where stdin is a terminal. With faults told already, it does not
// bother to ask.
func (c *call) askAccount(who string, config *airflowclient.Config) {
	file, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || len(c.faults) > 0 || !config.Token.Empty() {
		return
	}
	if config.Login == "" {
		c.prompt(who + ": ")
		config.Login = readLine(file)
	}
	if config.Login != "" && config.Password.Empty() {
		c.prompt(fmt.Sprintf("password of %q: ", config.Login))
		config.Password = c.readPassword(file)
	}
}

func (c *call) prompt(text string) { fmt.Fprint(c.App.ErrWriter, "ecr-refresh: ", text) }

// readLine reads byte by byte: what stands behind the line is somebody else's.
func readLine(file *os.File) string {
	var line strings.Builder
	for b := make([]byte, 1); ; {
		if n, err := file.Read(b); n == 0 || err != nil || b[0] == '\n' {
			return strings.TrimSpace(line.String())
		}
		line.WriteByte(b[0])
	}
}

// readPassword reads without an echo, and brings the echo back when a signal ends it.
func (c *call) readPassword(file *os.File) secret.Secret {
	fd := int(file.Fd())
	state, err := term.GetState(fd)
	c.fault(err)
	stop := context.AfterFunc(c.Context.Context, func() { _ = term.Restore(fd, state) })
	defer stop()
	text, err := term.ReadPassword(fd)
	fmt.Fprintln(c.App.ErrWriter)
	c.fault(err)
	return secret.New(string(text))
}
