// Package hints is the one table of what to do next about each kind of failure, in two dialects: in an Airflow task and
// in a shell. Its files are in the order of a run: inputs, AWS, Airflow, Docker, and what the steps hand on.
package hints

import (
	"errors"
	"maps"
	"strconv"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/environment"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
)

// hint is what to do next about one kind of failure, where the reader stands: in an Airflow task's log it names the
// Variable, connection, pool, queue or worker's environment; in a shell the flag and the environment name. {object},
// {service}, {want} and {status} stand for the failure's facts.
type hint struct {
	task  string
	shell string // "": as in a task
}

// Of returns the hint for err, or "".
func Of(err error) string {
	kind, facts := kindOf(err)
	if kind == "" {
		return ""
	}
	h, known := hints()[kind]
	if !known {
		return ""
	}
	text := h.task
	if !input.InTask() && h.shell != "" {
		text = h.shell
	}
	environmentOfTask := "the worker's environment"
	if environment.Value(names.OperatorEnv) == "docker" { // a container has none of it
		environmentOfTask = "ENVIRONMENT of the DAG's file"
	}
	return strings.NewReplacer(
		"{object}", facts.Object, "{service}", facts.Service, "{want}", facts.Want,
		"{status}", strconv.Itoa(facts.Status), "the worker's environment", environmentOfTask,
	).Replace(text)
}

// hints returns the whole table. It is called where an error is reported, so that a good run does not pay for it.
func hints() map[failure.Kind]hint {
	all := map[failure.Kind]hint{}
	for _, part := range []map[failure.Kind]hint{
		inputHints(), commandHints(), targetHints(), ecrHints(), registryHints(), airflowHints(), dockerHints(),
		dockerLoginHints(), stepHints(), secretHints(), fileHints(), networkHints(),
	} {
		maps.Copy(all, part)
	}
	return all
}

// kindOf returns the kind and facts of an error, be it of the steps or of Airflow's client.
func kindOf(err error) (failure.Kind, failure.Facts) {
	kind, facts := failure.Describe(err)
	var e *airflowclient.Error
	if kind != "" || !errors.As(err, &e) {
		return kind, facts
	}
	facts = failure.Facts{Object: e.Object, Service: "Airflow", Want: e.Right, Status: e.Status}
	return airflowKind(e.Kind), facts
}

func airflowKind(kind airflowclient.Kind) failure.Kind { return failure.Kind("airflow " + kind) }
