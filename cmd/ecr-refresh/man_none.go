//go:build urfave_cli_no_docs

package main

import "github.com/urfave/cli/v2"

func (p *program) man() []*cli.Command { return nil }
