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

// RefreshDockerToken is the DAG refresh_docker_token_v4: the three steps, each run by BashOperator. Template returns it
// with DockerOperator too.
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
	text = RefreshDockerToken // both DAGs can be deployed, and one of them scheduled
	for setting, value := range map[string]string{
		"OPERATOR": Docker, "DAG_ID": "refresh_docker_token_docker_v4", "SCHEDULE": "None",
	} {
		text, _ = Set(text, setting, value) // each is of its form
	}
	return RefreshDockerTokenDockerFile, text
}

// form is what the values of a setting look like. None has a quote, a backslash or a line end in it, so that none
// breaks out of its quotes.
type form struct{ pattern, what string }

func forms() map[string]form {
	const field, name, id = `[0-9A-Za-z*/,#?-]+`, `[A-Za-z_]\w*`, `[\w.-]{1,200}`
	const label = `[\w.:/@+-]([\w.:/@+ -]{0,98}[\w.:/@+-])?`
	return map[string]form{
		"OPERATOR": {Bash + "|" + Docker, Bash + " or " + Docker},
		"DAG_ID":   {id, "a DAG's id: up to 200 letters, digits, '_', '.', '-'"},
		"SCHEDULE": {`None|@(once|hourly|daily|weekly|monthly|quarterly|yearly|continuous)|` +
			field + `( ` + field + `){4}`, "a cron expression, a preset or None"},
		"CONNECTION_IDS":      {`|` + id + `(,` + id + `)*`, "connection ids joined by commas"},
		"AIRFLOW_API":         {id, "a connection id"},
		"QUEUE":               {label, "the name of a queue"},
		"POOL":                {label, "the name of a pool"},
		"RETRIES":             {`0|[1-9]\d?`, "a number from 0 to 99"},
		"RETRY_DELAY":         {`\d{1,5}s|\d{1,4}m|\d{1,2}h`, "a duration such as 90s, 5m or 1h"},
		"OWNER":               {label, "the name of an owner"},
		"TAGS":                {label + `(,` + label + `)*`, "a tag"},
		"ON_FAILURE_CALLBACK": {`|` + name + `(\.` + name + `)*:` + name, "of the form module:name"},
		"IMAGE":               {`[a-zA-Z0-9][\w./:@-]*`, "the name of an image"},
	}
}

// Set returns the text of Template with another value of a setting. Several TAGS are joined by commas; a duration is
// one of Go. It returns an error if the value is not of the setting's form.
func Set(text, setting, value string) (string, error) {
	f := forms()[setting]
	if !regexp.MustCompile(`^(` + f.pattern + `)$`).MatchString(value) {
		return "", fmt.Errorf("%.60q is not %s", value, f.what)
	}
	literal := strconv.Quote(value)
	switch setting {
	case "RETRIES":
		literal = value
	case "RETRY_DELAY":
		delay, _ := time.ParseDuration(value) // of its form
		literal = strconv.Itoa(int(delay.Seconds()))
	case "SCHEDULE":
		literal = strings.ReplaceAll(literal, `"None"`, "None")
	case "TAGS":
		literal = strings.ReplaceAll("["+literal+"]", ",", `", "`)
	}
	line := regexp.MustCompile(`(?m)^` + setting + ` = (None|\d+|"[^"\n]*"|\[[^]\n]*\])`)
	return line.ReplaceAllLiteralString(text, setting+" = "+literal), nil
}

// Version returns the version of the ecr-refresh that signed a text, or "" where there is no such line.
func Version(signed string) string {
	head := regexp.MustCompile(`^# Written by ecr-refresh (.+?)\. (?:sha256|Checksums:) `).FindStringSubmatch(signed)
	if head == nil {
		return ""
	}
	return head[1]
}
