//go:build !urfave_cli_no_docs

package main

import (
	"io"

	"github.com/urfave/cli/v2"
)

// man prints the manual page. It is for "make man": the library's generator would make the product a third larger to
// start, so a product is built with urfave_cli_no_docs.
func (p *program) man() []*cli.Command {
	return []*cli.Command{{
		Name:   "man",
		Hidden: true,
		Action: func(c *cli.Context) error {
			page, err := c.App.ToManWithSection(1)
			if err == nil {
				_, err = io.WriteString(p.stdout, page)
			}
			return err
		},
	}}
}
