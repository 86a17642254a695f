package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// failure runs a step that fails, first as Airflow's task and then in a shell, and appends to table.txt what each
// printed of errors, warnings and hints. Before the step stand VARIABLE=VALUE, peer:FAULT and <RESULT, the file with
// the result of the previous step. A row with a flag, or of another command than a step, is for a shell alone.
func (s script) failure() {
	name, args := s.args[0], s.args[1:]
	result := ""
	for {
		variable, value, isVariable := strings.Cut(args[0], "=")
		peer, isPeer := strings.CutPrefix(args[0], "peer:")
		file, isResult := strings.CutPrefix(args[0], "<")
		switch {
		case isVariable:
			defer s.Setenv(variable, s.Getenv(variable))
			s.Setenv(variable, value)
		case isPeer:
			s.faults()[peer](true)
			defer s.faults()[peer](false)
		case isResult:
			result = file
		default:
			steps := []string{"extract-ecr-token", "update-docker-connection", "test-docker-connection"}
			code, lines := s.printed("shell", result, args)
			if slices.Contains(steps, args[0]) && !slices.ContainsFunc(args, isFlag) {
				taskCode, taskLines := s.printed("task ", result, args)
				if lines = taskLines + lines; taskCode != code {
					s.Fatalf("exit code %d in a task, and %d in a shell", taskCode, code)
				}
			}
			s.append("table.txt", fmt.Sprintf("# %s: %s, exit code %d\n%s", name, args[0], code, lines))
			return
		}
		args = args[1:]
	}
}

func isFlag(arg string) bool { return strings.HasPrefix(arg, "--") }

// printed returns the exit code of a run, and what it prints, each line with where it runs: in a task or a shell.
func (s script) printed(where, result string, args []string) (exit int, lines string) {
	if where == "shell" && result != "" {
		args = append(args[:len(args):len(args)], "--in", result)
	} else if where != "shell" {
		s.Setenv("ECR_REFRESH_OPERATOR", "bash")
		defer s.Setenv("ECR_REFRESH_OPERATOR", "")
		if result != "" {
			s.Setenv("ECR_REFRESH_DOCUMENT", s.ReadFile(result))
			defer s.Setenv("ECR_REFRESH_DOCUMENT", "")
		}
	}
	var failed *exec.ExitError
	if err := s.Exec("ecr-refresh", args...); errors.As(err, &failed) {
		exit = failed.ExitCode()
	}
	out := s.ReadFile("stderr")
	for _, same := range [][2]string{
		{regexp.QuoteMeta(s.Getenv("WORK")), "$$WORK"},
		{`127\.0\.0\.1:\d+`, "127.0.0.1:PORT"},
		{`unix:///\S+/docker.sock:`, "unix:///docker.sock:"},
		{`[\dhm.]+s (ago|old)`, "0s $1"}, {`age1\w{20,}`, "age1…"},
		{`(lookup \S+) on \S+:53`, "$1"}, {`(\.com|\.invalid):\d{5}\b`, "$1:PORT"},
		{`\d{4}-\d\d-\d\dT[0-9:.]+Z`, "2026-11-24T05:55:03Z"},
	} {
		out = regexp.MustCompile(same[0]).ReplaceAllString(out, same[1])
	}
	says := regexp.MustCompile(`(?m)^ecr-refresh: ((?:error|warning|hint): .*)$`)
	for _, line := range says.FindAllStringSubmatch(out, -1) {
		lines += where + " " + line[1] + "\n"
	}
	return exit, lines
}

func (s script) append(file, text string) {
	out, err := os.OpenFile(filepath.Join(s.Getenv("WORK"), file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	s.Check(err)
	_, err = out.WriteString(text)
	s.Check(errors.Join(err, out.Close()))
}
