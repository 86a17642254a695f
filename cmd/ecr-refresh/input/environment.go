package input

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"

	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
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

// absent says of a connection that nothing is known of it; the DAG passes on each one that exists.
func absent() string {
	if Operator() != "" {
		return "does not exist"
	}
	return "is missing"
}

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

// OverriddenBy returns the variable that tasks read before Airflow's database for connection id, or "" where it is not
// set.
func OverriddenBy(id string) string { return overriding(connectionEnv(id), "") }

// VariableOverride returns the environment variable that tasks read before Airflow's database for a Variable, or ""
// where it is not set, or to what is stored.
func VariableOverride(key, stored string) string {
	return overriding("AIRFLOW_VAR_"+strings.ToUpper(key), stored)
}

func overriding(env, stored string) string {
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

// PrepareAWS makes AWS's SDK for Go read its environment as botocore does: "~" in the paths of its two files, and the
// retry mode legacy, which it does not know.
func PrepareAWS() {
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		if path, inHome := strings.CutPrefix(os.Getenv(name), "~/"); inHome {
			_ = os.Setenv(name, os.Getenv("HOME")+"/"+path) // the name is good
		}
	}
	if os.Getenv("AWS_RETRY_MODE") == "legacy" {
		_ = os.Setenv("AWS_RETRY_MODE", "standard")
	}
}

// proxyURL returns the variable of a proxy as Go reads it: golang.org/x/net/http/httpproxy.
func proxyURL(env string) (*url.URL, error) {
	value := os.Getenv(env)
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	return url.Parse(value)
}

// Conceal conceals the secrets of the environment that AWS's SDK and net/http read.
func Conceal() {
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"} {
		untrusted.Conceal(os.Getenv(name))
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if proxy, err := proxyURL(name); err == nil {
			password, _ := proxy.User.Password()
			untrusted.Conceal(password)
		}
	}
}
