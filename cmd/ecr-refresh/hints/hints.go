// Package hints is the one table of what to do next about each kind of failure, in two dialects: in an Airflow task's
// log a hint names the Variable, connection, pool, queue or worker's environment; in a shell the flag and the
// environment name.
package hints

import (
	"regexp"
	"strings"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
)

// Of returns the hint for err, or "".
func Of(err error) string {
	kind, facts := failure.Describe(err)
	text := translate(hints()[kind], input.Operator())
	text = strings.NewReplacer("{object}", facts.Object, "{want}", facts.Want).Replace(text)
	return strings.ReplaceAll(text, names.AirflowConnection, input.APIConnection())
}

// translate returns text in the dialect of operator's tasks; "" is a shell.
func translate(text, operator string) string {
	dialect, host, environment := "$1", "the worker", " in the worker's environment"
	switch operator {
	case "":
		dialect, host, environment = "$2", "this machine", ""
	case "docker": // a container has nothing of the worker's environment
		environment = " in ENVIRONMENT of the DAG's file"
	}
	text = regexp.MustCompile(`<([^|]*)\|([^>]*)>`).ReplaceAllString(text, dialect)
	return strings.NewReplacer("{host}", host, "{env}", environment).Replace(text)
}
