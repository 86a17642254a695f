package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/dags"
)

func (p *program) completion() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the script with which a shell completes commands and flags",
		UsageText: "ecr-refresh completion bash|zsh|fish",
		Description: `Examples:
  source <(ecr-refresh completion bash)     # in ~/.bashrc
  source <(ecr-refresh completion zsh)      # in ~/.zshrc, after compinit; or as _ecr-refresh in $fpath
  ecr-refresh completion fish >~/.config/fish/completions/ecr-refresh.fish` + exits("", wrong),
		HideHelpCommand: true,
		OnUsageError:    usageError,
		BashComplete:    func(*cli.Context) { _, _ = io.WriteString(p.stdout, "bash\nzsh\nfish\n") },
		Action: func(c *cli.Context) error {
			fish, _ := c.App.ToFishCompletion()      // into memory
			fish = strings.ReplaceAll(fish, "`", "") // which mark a flag's value in the help
			for flag, values := range p.values() {
				fish = strings.ReplaceAll(fish, " -l "+flag+" -r", " -l "+flag+" -x -a '"+values+"'")
			}
			scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fish + fishCompletion}
			shell := strings.Join(c.Args().Slice(), " ")
			if scripts[shell] == "" {
				return usageError(c, fmt.Errorf("%q is not bash, zsh or fish", shell), false)
			}
			_, err := io.WriteString(p.stdout, scripts[shell])
			return err
		},
	}
}

// values returns the values that flags are completed with.
func (p *program) values() map[string]string {
	all := map[string]string{"operator": dags.Bash + " " + dags.Docker}
	for _, s := range append(p.Logging(), p.Engine) {
		all[s.Flag] = strings.Join(s.Choices, " ")
	}
	return all
}

// completesValue prints the values of the flag behind which args end, and reports whether it has any: the library knows
// commands and flags alone. Where nothing is printed, the shell completes names of files. Bash splits --flag=value.
func (p *program) completesValue(args []string) bool {
	end := regexp.MustCompile(` --([a-z-]+)( =)? --generate-bash-completion$`)
	flag := end.FindStringSubmatch(strings.Join(args, " "))
	if flag == nil || p.values()[flag[1]] == "" {
		return false
	}
	fmt.Fprintln(p.stdout, strings.ReplaceAll(p.values()[flag[1]], " ", "\n"))
	return true
}

// The program itself prints what may come next, when the last word is --generate-bash-completion. No word of the line
// is evaluated. The flag that is being typed is passed with one "-": behind a lone "--" the library reads no flags.
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
