package manual

import (
	"ecr-refresh/steps/failure"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// BadShell is the kind of failure of a shell that is not one of Shells.
const BadShell failure.Kind = "unknown shell"

// Shells are those that Completion knows.
const Shells = "bash, zsh or fish"

// Completion returns the script that makes a shell complete commands and flags of app.
func Completion(app *cli.App, shell string) (string, error) {
	switch shell {
	case "bash":
		return bashCompletion, nil
	case "zsh":
		return zshCompletion, nil
	case "fish":
		text, err := app.ToFishCompletion()
		return strings.ReplaceAll(text, "`", "") + fishCompletion, err // ` marks a flag's value in the help
	}
	return "", fmt.Errorf("%q is not %s", shell, Shells)
}

// The program itself prints what may come next, when the last word is --generate-bash-completion. No word of the line
// is evaluated. A flag is passed with one "-": behind a lone "--" the library reads no flags.
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
