package manual

import (
	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/steps/failure"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// CompletionCommand returns the command that prints Completion.
func CompletionCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the script with which a shell completes commands and flags",
		UsageText: "ecr-refresh completion bash|zsh|fish",
		Description: `Examples:
  source <(ecr-refresh completion bash)     # in ~/.bashrc
  source <(ecr-refresh completion zsh)      # in ~/.zshrc, after compinit; or as _ecr-refresh in $fpath
  ecr-refresh completion fish >~/.config/fish/completions/ecr-refresh.fish`,
		HideHelpCommand: true,
		OnUsageError:    command.UsageError,
		BashComplete: func(*cli.Context) {
			_, _ = io.WriteString(stdout, "bash\nzsh\nfish\n")
		},
		Action: func(c *cli.Context) error {
			text, err := Completion(c.App, strings.Join(c.Args().Slice(), " "))
			if err != nil {
				return failure.Permanent(BadShell, "print completion: %w", err)
			}
			_, err = io.WriteString(stdout, text)
			return err
		},
	}
}

// Command returns the hidden command that prints Page.
func Command(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name:            "man",
		Usage:           "print the manual page, as roff",
		Hidden:          true,
		HideHelpCommand: true,
		OnUsageError:    command.UsageError,
		Action: func(c *cli.Context) error {
			_, err := io.WriteString(stdout, Page(c.App))
			return err
		},
	}
}
