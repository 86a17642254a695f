package input

import (
	"fmt"
	"os"
	"regexp"
	"slices"
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

// ours are the names that something reads, without ECR_REFRESH_ before them.
const ours = ` ADMIN_LOGIN ADMIN_PASSWORD ADMIN_TOKEN AIRFLOW_CONN_TYPE AIRFLOW_HOST AIRFLOW_LOGIN AIRFLOW_PASSWORD
	AIRFLOW_PORT AIRFLOW_SCHEMA AIRFLOW_TOKEN AIRFLOW_URL BIN CA_FILE CONNECTION_HOSTS CONNECTION_IDS DOCKER_HOST
	DOCKER_LOGIN DOCKER_PASSWORD DOCKER_PORT DOCKER_SECRETS DOCUMENT DRY_RUN ENGINE IDENTITY_FILE LOG_FORMAT LOG_LEVEL
	LOG_OUTPUT MAX_AGE METRICS_FILE OPERATOR PRIVATE_KEY RECIPIENT REQUIRE_HTTPS TIMEOUT `

// EnvFile sets the variables that the file of ECR_REFRESH_ENV_FILE has, and the environment has not: an empty variable
// counts as none. It returns the names in the file that start as ours do and that nothing reads.
func EnvFile() (unread []string, err error) {
	path := lookup(names.EnvFileEnv)
	if path == "" {
		return nil, nil
	}
	text, err := privatefile.ReadMounted(path, maxInput)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", names.EnvFileEnv, err)
	}
	values, err := parseEnv(string(text))
	for name, value := range values {
		own, is := strings.CutPrefix(name, "ECR_REFRESH_")
		if is && !slices.Contains(strings.Fields(ours), own) {
			unread = append(unread, name)
		}
		if lookup(name) == "" && err == nil {
			err = os.Setenv(name, value) // rejects NUL
		}
	}
	if err != nil {
		return nil, failure.Permanent("", "%s: read %q: %w", names.EnvFileEnv, path, err)
	}
	slices.Sort(unread)
	return unread, nil
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
