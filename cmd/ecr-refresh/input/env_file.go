package input

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

// EnvFileHelp describes the file, for the program's help.
const EnvFileHelp = `ECR_REFRESH_ENV_FILE names a file (mode 0600) that each command reads: a line KEY=value
for each variable. A flag wins over the environment, and the environment over the file; an empty variable counts
as not set. Blank lines, and those that start with #, are skipped. A value may stand in quotes, 'so' or "so";
nothing in it is expanded.`

// EnvFile sets the variables that the file of ECR_REFRESH_ENV_FILE has, and the environment has not: an empty variable
// counts as none.
func EnvFile() error {
	path := lookup(names.EnvFileEnv)
	if path == "" {
		return nil
	}
	text, err := privatefile.ReadMounted(path, maxInput)
	if err != nil {
		return fmt.Errorf("%s: %w", names.EnvFileEnv, err)
	}
	values, err := parseEnv(string(text))
	for name, value := range values {
		if lookup(name) == "" && err == nil {
			err = os.Setenv(name, value) // rejects NUL
		}
	}
	if err != nil {
		return failure.Permanent("", "%s: read %q: %w", names.EnvFileEnv, path, err)
	}
	return nil
}

// parseEnv reads lines KEY=value. The value is the rest of the line without blanks around it, or what stands between a
// pair of quotes. An error names the line, and never repeats it: it may hold a secret.
func parseEnv(text string) (map[string]string, error) {
	form := regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)=\s*(?:"(.*)"|'(.*)'|([^"'].*)?)$`)
	values := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		part := form.FindStringSubmatch(line)
		if part == nil {
			return nil, fmt.Errorf("line %d is not KEY=value, or has a quote that does not end", i+1)
		}
		if _, again := values[part[1]]; again {
			return nil, fmt.Errorf("line %d sets %s a second time", i+1, part[1])
		}
		values[part[1]] = part[2] + part[3] + part[4] // one of them matched
	}
	return values, nil
}
