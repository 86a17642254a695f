package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/input"
)

// Each command's help lists the exit codes that it can have, and no flag of a call to a service where it calls none.
func TestFlags(t *testing.T) {
	t.Parallel()
	calling := append(strings.Fields("extract-ecr-token update-docker-connection test-docker-connection"),
		"run", "status", "doctor", "setup")
	p := &program{Settings: input.NewSettings()}
	for name, c := range all("", p.app().Commands) {
		calls, text := slices.Contains(calling, name), c.Description
		for _, flag := range []string{"timeout", "ca-file", "require-https"} {
			if has(c, flag) != calls {
				t.Errorf("%s has --%s: %v", name, flag, !calls)
			}
		}
		if has(c, "log-level") != (name != "completion") {
			t.Errorf("%s: --log-level", name)
		}
		_, codes, found := strings.Cut(text, "\n\nExit codes:\n  0  done\n")
		if !found || !strings.Contains(codes, "  2  ") || strings.Contains(codes, "  1  ") != calls ||
			strings.Contains(codes, "130, 143") != calls {
			t.Errorf("%s: exit codes are %q", name, codes)
		}
		if strings.HasPrefix(codes, "  1  ") && strings.Contains(text, "in the DAG") !=
			(strings.HasSuffix(name, "-token") || strings.HasSuffix(name, "-connection")) {
			t.Errorf("%s: what happens in the DAG", name)
		}
	}
}

// all returns commands and their subcommands by what is typed.
func all(before string, commands []*cli.Command) map[string]*cli.Command {
	found := map[string]*cli.Command{}
	for _, c := range commands {
		found[before+c.Name] = c
		for name, sub := range all(before+c.Name+" ", c.Subcommands) {
			found[name] = sub
		}
	}
	return found
}

func has(c *cli.Command, flag string) bool {
	return slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return f.Names()[0] == flag })
}

// What must be given is marked so.
func TestRequired(t *testing.T) {
	t.Parallel()
	p := &program{Settings: input.NewSettings()}
	commands := all("", p.app().Commands)
	for name, flags := range map[string]string{
		"extract-ecr-token": "account region", "run": "account region", "plan": "account region",
		"update-docker-connection": "in", "test-docker-connection": "in",
		"setup": "account region airflow-url", "dag install": "dags-folder",
	} {
		for _, f := range commands[name].Flags {
			flag := f.Names()[0]
			marked := strings.Contains(f.String(), "(required")
			if marked != slices.Contains(strings.Fields(flags), flag) {
				t.Errorf("%s --%s is marked: %v", name, flag, marked)
			}
		}
	}
}

// The version is that of the changelog's first heading, and a build before its date says so.
func TestVersion(t *testing.T) {
	t.Parallel()
	changes, err := os.ReadFile("../../CHANGELOG.md")
	heading := regexp.MustCompile(`(?m)^## (.*)$`).FindSubmatch(changes)
	if err != nil || heading == nil {
		t.Fatalf("CHANGELOG.md has no heading: %v", err)
	}
	want := strings.ReplaceAll(string(heading[1]), " - Unreleased", "-dev")
	want = regexp.MustCompile(` - \d{4}-\d\d-\d\d$`).ReplaceAllString(want, "")
	if release != want || !regexp.MustCompile(`^\d+\.\d+\.\d+(-dev)?$`).MatchString(release) {
		t.Errorf("const release is %q, and CHANGELOG.md begins with %q", release, heading[1])
	}
}
