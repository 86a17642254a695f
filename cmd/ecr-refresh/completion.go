package main

import (
	"errors"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps/failure"
)

func (p *program) completion() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print what makes a shell complete commands and flags",
		UsageText: "ecr-refresh completion bash|zsh|fish",
		Description: `Examples:
  source <(ecr-refresh completion bash)                                         # in ~/.bashrc
  source <(ecr-refresh completion zsh)                                          # in ~/.zshrc, after compinit; or as _ecr-refresh in $fpath
  ecr-refresh completion fish >~/.config/fish/completions/ecr-refresh.fish`,
		HideHelpCommand: true,
		OnUsageError:    usageError,
		BashComplete: func(c *cli.Context) {
			_, _ = io.WriteString(p.stdout, "bash\nzsh\nfish\n")
		},
		Action: func(c *cli.Context) error {
			text, err := completionScript(c.App, c.Args().First())
			if err == nil && c.NArg() != 1 {
				err = errors.New("give one shell")
			}
			if err != nil {
				return failure.Permanent("give bash, zsh or fish", "print completion: %w", err)
			}
			_, err = io.WriteString(p.stdout, text)
			return err
		},
	}
}

func completionScript(app *cli.App, shell string) (string, error) {
	switch shell {
	case "bash":
		return bashCompletion, nil
	case "zsh":
		return zshCompletion, nil
	case "fish":
		text, err := app.ToFishCompletion()
		return strings.ReplaceAll(text, "`", "") + fishCompletion, err // ` marks a flag's value in the help
	}
	return "", errors.New("no such shell")
}

// The program itself answers what may come next, when the last word is --generate-bash-completion. No word of the line
// is evaluated. A flag goes with one "-": behind a lone "--" the library takes nothing for a flag.
const (
	bashCompletion = `_ecr_refresh() {
  local current="${COMP_WORDS[COMP_CWORD]}" words=("${COMP_WORDS[@]:0:COMP_CWORD}") IFS=$'\n'
  [[ $current == -* ]] && words+=("${current/#--/-}")
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$current"))
}
complete -o default -F _ecr_refresh ecr-refresh
`
	zshCompletion = `#compdef ecr-refresh
_ecr-refresh() {
  local current="${words[CURRENT]}" line=("${words[@]:0:$((CURRENT-1))}")
  [[ $current == -* ]] && line+=("${current/#--/-}")
  compadd -- ${(f)"$("${line[@]}" --generate-bash-completion 2>/dev/null)"} || _files
}
if [[ $funcstack[1] == _ecr-refresh ]]; then _ecr-refresh; else compdef _ecr-refresh ecr-refresh; fi
`
	fishCompletion = `complete -c ecr-refresh -n '__fish_ecr-refresh_no_subcommand' -f
complete -c ecr-refresh -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'
`
)
