package input

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"

	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

// Operator returns the operator of the DAG that runs this invocation, bash or docker, or "" in a shell.
func Operator() string { return lookup(names.OperatorEnv) }

// APIConnection returns the id of the connection to Airflow's REST API, which a site may have named in its DAG.
func APIConnection() string {
	return cmp.Or(lookup(names.AirflowConnectionEnv), names.AirflowConnection)
}

// sourceOf returns what the reader of the log calls the variable env: the Airflow Variable of that name in a task.
func sourceOf(env string) string {
	if Operator() != "" {
		return nameOf(env)
	}
	return env
}

func nameOf(env string) string { return fmt.Sprintf("Variable %q", variableOf(env)) }

// variableOf returns the name of the Airflow Variable that the DAG passes on as env.
func variableOf(env string) string { return strings.ToLower(strings.TrimPrefix(env, "AIRFLOW_VAR_")) }

// trim returns text without blanks around it, or "" for what Jinja renders for nothing: None for null, NOTSET for a
// missing Variable.
func trim(text string) string {
	if text = strings.TrimSpace(text); text == "None" || text == "NOTSET" {
		return ""
	}
	return text
}

// lookup returns the variable without blanks around it, or "" where it is empty.
func lookup(env string) string { return trim(os.Getenv(env)) }

// secretIn returns the variable as it is, or an empty secret. A secret has no flag: everybody can read argv.
func secretIn(env string) secret.Secret {
	if lookup(env) == "" {
		return secret.Secret{}
	}
	return secret.New(os.Getenv(env))
}

// parts returns a long text: one variable holds no more than 128 KiB, so env is followed by env_2, env_3 and so on.
func parts(env string) string {
	if lookup(env) == "" {
		return ""
	}
	text := os.Getenv(env)
	for n := 2; ; n++ {
		next := os.Getenv(fmt.Sprintf("%s_%d", env, n))
		if next == "" {
			return text
		}
		text += next
	}
}

// connectionIn reads a connection whose fields are variables that start with prefix. It is empty where none is set.
func connectionIn(prefix string) connection.Connection {
	return connection.Connection{
		Type: lookup(prefix + "CONN_TYPE"), Schema: lookup(prefix + "SCHEMA"), Host: lookup(prefix + "HOST"),
		Port: lookup(prefix + "PORT"), Login: lookup(prefix + "LOGIN"), Password: secretIn(prefix + "PASSWORD"),
	}
}

// connectionEnv returns the name of the variable in which Airflow looks for a connection before its database.
func connectionEnv(id string) string { return "AIRFLOW_CONN_" + strings.ToUpper(id) }

// Overriding returns env in upper case, a variable that tasks read before Airflow's database (AIRFLOW_CONN_… or
// AIRFLOW_VAR_…), or "" where it is not set, or to what is stored.
func Overriding(env, stored string) string {
	env = strings.ToUpper(env)
	if here := lookup(env); here == "" || here == stored {
		return ""
	}
	return env
}

// connectionOf reads AIRFLOW_CONN_<ID> as Airflow does, or the same with "_" for "-", which cannot be part of a shell
// variable's name. Where it is not set or malformed, the connection is empty.
func connectionOf(id string) (connection.Connection, error) {
	env := connectionEnv(id)
	if lookup(env) == "" {
		env = strings.ReplaceAll(env, "-", "_")
	}
	if lookup(env) == "" {
		return connection.Connection{}, nil
	}
	c, err := connection.Parse(lookup(env))
	if err != nil {
		err = failure.Permanent(Malformed, "read %s: %w", env, err).About(env)
	}
	return c, err
}

// EnvFileHelp describes the file, for the program's help.
const EnvFileHelp = `ECR_REFRESH_ENV_FILE names a file (mode 0600) that each command reads: a line KEY=value
for each variable. A flag wins over the environment, and the environment over the file; an empty variable counts
as not set. Blank lines, and those that start with #, are skipped. A value may stand in quotes, 'so' or "so";
nothing in it is expanded.`

// Prepare completes the environment, before anything else is read of it. It sets the variables that the file of
// ECR_REFRESH_ENV_FILE has, and the environment has not: an empty variable counts as none. It makes AWS's SDK for Go
// read its own as botocore does: "~" in the paths of its two files, and the retry mode legacy, which it does not know.
// It conceals the secrets that AWS's SDK and net/http read.
func Prepare() error {
	if err := envFile(lookup(names.EnvFileEnv)); err != nil {
		return fmt.Errorf("%s: %w", names.EnvFileEnv, err)
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		if path, inHome := strings.CutPrefix(os.Getenv(name), "~/"); inHome {
			_ = os.Setenv(name, os.Getenv("HOME")+"/"+path) // the name is good
		}
	}
	if os.Getenv("AWS_RETRY_MODE") == "legacy" {
		_ = os.Setenv("AWS_RETRY_MODE", "standard")
	}
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"} {
		untrusted.Conceal(os.Getenv(name))
	}
	for _, name := range proxies() {
		if proxy, err := proxyURL(name); err == nil {
			password, _ := proxy.User.Password()
			untrusted.Conceal(password)
		}
	}
	return nil
}

func envFile(path string) error {
	if path == "" {
		return nil
	}
	text, err := privatefile.ReadMounted(path, maxInput)
	if err != nil {
		return err
	}
	values, err := parseEnv(string(text))
	for name, value := range values {
		if lookup(name) == "" && err == nil {
			err = os.Setenv(name, value) // rejects NUL
		}
	}
	if err != nil {
		return failure.Permanent("", "read %q: %w", path, err)
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
