package main

import (
	"maps"
	"os"
	"strconv"
	"strings"

	"ecr-refresh/steps/failure"
)

// hint is what to do next about one kind of failure, where the reader stands: in an Airflow task's log it names the
// Variable, connection, pool, queue or worker's environment; in a shell the flag and the environment name. {object},
// {service}, {want} and {status} stand for the failure's facts.
type hint struct {
	task  string
	shell string // "": as in a task
}

// operatorEnv is set by the DAG in each task, to the operator that runs it: bash or docker.
const operatorEnv = "ECR_REFRESH_OPERATOR"

// hintOf returns the hint for err, or "".
func hintOf(err error) string {
	kind, facts := failure.Describe(err)
	h, known := hints()[kind]
	if !known {
		return string(kind) // being replaced: a kind that is a hint
	}
	text := h.task
	if os.Getenv(operatorEnv) == "" && h.shell != "" {
		text = h.shell
	}
	status := strconv.Itoa(facts.Status)
	return strings.NewReplacer("{object}", facts.Object, "{service}", facts.Service, "{want}", facts.Want, "{status}", status).Replace(text)
}

// hints is the whole table. It is made where an error is reported, so that a good run does not pay for it.
func hints() map[failure.Kind]hint {
	all := map[failure.Kind]hint{}
	for _, part := range []map[failure.Kind]hint{
		inputHints(), targetHints(), ecrHints(), registryHints(), airflowHints(), dockerHints(), stepHints(), secretHints(), fileHints(),
	} {
		maps.Copy(all, part)
	}
	return all
}

// inputHints are of flags, the environment and the command line.
func inputHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}

// targetHints are of steps/target.
func targetHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}

// ecrHints are of steps/ecr.
func ecrHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}

// registryHints are of steps/registry.
func registryHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}

// airflowHints are of airflowclient.
func airflowHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}

// dockerHints are of steps/docker.
func dockerHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}

// stepHints are of the three steps and of the results that they hand on.
func stepHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}

// secretHints are of steps/secret: keys and encryption.
func secretHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}

// fileHints are of steps/privatefile.
func fileHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{}
}
