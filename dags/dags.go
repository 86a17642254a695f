// Package dags holds the Airflow DAG that runs the steps, and writes a site's settings into it.
package dags

import (
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// RefreshDockerToken is the DAG refresh_docker_token_v4: the three steps, each run by BashOperator (see Template).
//
//go:embed refresh_docker_token.py
var RefreshDockerToken string

// The operators that run the steps, and the names of the DAG's files with each.
const (
	Bash                         = "bash"
	Docker                       = "docker"
	RefreshDockerTokenFile       = "refresh_docker_token.py"
	RefreshDockerTokenDockerFile = "refresh_docker_token_docker.py"
)

// Template returns the name of the DAG's file with an operator, and its text.
func Template(operator string) (name, text string) {
	if operator != Docker {
		return RefreshDockerTokenFile, RefreshDockerToken
	}
	return RefreshDockerTokenDockerFile, strings.NewReplacer( // both DAGs can be deployed, and one of them scheduled
		`OPERATOR = "bash"`, `OPERATOR = "docker"`, `DAG_ID = "refresh_docker_token_v4"`,
		`DAG_ID = "refresh_docker_token_docker_v4"`, `SCHEDULE = "55 5,11,17,23 * * *"`, "SCHEDULE = None",
	).Replace(RefreshDockerToken)
}

// Option is a setting that the command line sets.
type Option struct {
	Name, Constant string
	What           string // its value is, for people
	form           string // of its value: without quotes, backslashes and line ends, none breaks out of its quotes
}

// Options returns them all.
func Options() []Option {
	const field, name, id = `[0-9A-Za-z*/,#?-]+`, `[A-Za-z_]\w*`, `[\w.-]{1,200}`
	const label = `[\w.:/@+-]([\w.:/@+ -]{0,98}[\w.:/@+-])?`
	const preset = `@(once|hourly|daily|weekly|monthly|quarterly|yearly|continuous)`
	return []Option{
		{"operator", "OPERATOR", "bash or docker, which runs each step", Bash + `|` + Docker},
		{"dag-id", "DAG_ID", "a DAG's id: up to 200 letters, digits, '_', '.', '-'", id},
		{"schedule", "SCHEDULE", "a cron expression, a preset such as @daily, or None",
			`None|` + preset + `|` + field + `( ` + field + `){4}`},
		{"connection-ids", "CONNECTION_IDS", "connection ids joined by commas, for runs that name none",
			`|` + id + `(,` + id + `)*`},
		{"airflow-connection", "AIRFLOW_API", "the id of the connection to Airflow's REST API", id},
		{"queue", "QUEUE", "the name of the tasks' queue", label},
		{"pool", "POOL", "the name of the tasks' pool", label},
		{"retries", "RETRIES", "a number from 0 to 99, of retries after exit code 1", `0|[1-9]\d?`},
		{"retry-delay", "RETRY_DELAY", "a duration such as 90s, 5m or 1h", `\d{1,5}s|\d{1,4}m|\d{1,2}h`},
		{"owner", "OWNER", "the name of the tasks' owner", label},
		{"tag", "TAGS", "a tag, in place of the DAG's own", label + `(,` + label + `)*`},
		{"on-failure-callback", "ON_FAILURE_CALLBACK", "the module:name of what is called when a run has failed",
			`|` + name + `(\.` + name + `)*:` + name},
		{"image", "IMAGE", "the name of the containers' image, with docker", `[a-zA-Z0-9][\w./:@-]*`},
	}
}

// Set returns the text of Template with another value. Several tags are joined by commas; a duration is one of Go.
// It returns an error if the value is not of the option's form.
func (o Option) Set(text, value string) (string, error) {
	if !regexp.MustCompile(`^(` + o.form + `)$`).MatchString(value) {
		return "", fmt.Errorf("%.60q is not %s", value, o.What)
	}
	literal := strconv.Quote(value)
	switch {
	case o.Constant == "RETRIES", o.Constant == "SCHEDULE" && value == "None":
		literal = value
	case o.Constant == "RETRY_DELAY":
		delay, _ := time.ParseDuration(value) // of its form
		literal = strconv.Itoa(int(delay.Seconds()))
	case o.Constant == "TAGS":
		literal = strings.ReplaceAll("["+literal+"]", ",", `", "`)
	}
	line := regexp.MustCompile(`(?m)^` + o.Constant + ` = (None|\d+|"[^"\n]*"|\[[^]\n]*\])`)
	return line.ReplaceAllLiteralString(text, o.Constant+" = "+literal), nil
}

// Version returns the version of the ecr-refresh that signed a text, or "" where there is no such line.
func Version(signed string) string {
	_, after, _ := strings.Cut("\n"+signed, "\n"+written)
	version, _, _ := strings.Cut(after, ". ")
	return version
}
