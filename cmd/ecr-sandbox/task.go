package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ecr-refresh/integration/sandbox"
)

func runTask(args, environ []string, stderr io.Writer) int {
	if len(args) < 2 || (args[1] == "--" && len(args) < 3) {
		return fail(stderr, exitUsage, errors.New("ecr-sandbox task needs a connection and a command: "+
			"ecr-sandbox task docker_default -- COMMAND"))
	}
	connection, command := args[0], args[1:]
	if command[0] == "--" {
		command = command[1:]
	}
	if lookup(environ, sandbox.ExecutionAPI) == "" {
		return fail(stderr, exitUsage, errNotInside)
	}
	fields, err := taskEnviron(environ, connection)
	if err != nil {
		return fail(stderr, 1, err)
	}
	return execute(command, append(withoutSandbox(environ), fields...), stderr)
}

// withoutSandbox returns environ without what a task never gets: address and token of the supervisor's API.
func withoutSandbox(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ),
		func(entry string) bool { return strings.HasPrefix(entry, "ECR_SANDBOX_") })
}

// taskEnviron reads the connection as Airflow's supervisor does, and returns it as the variables that the DAG sets.
func taskEnviron(environ []string, id string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	address := lookup(environ, sandbox.ExecutionAPI) + "/connections/" + url.PathEscape(id)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("read connection %q: %w", id, err)
	}
	request.Header.Set("Authorization", "Bearer "+lookup(environ, sandbox.TaskToken))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read connection %q: %w", id, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read connection %q: the sandbox answered %s", id, response.Status)
	}
	var c struct {
		Host, Login, Password string
		Port                  int
	}
	if err := json.NewDecoder(response.Body).Decode(&c); err != nil {
		return nil, fmt.Errorf("read connection %q: %w", id, err)
	}
	return sandbox.Connection{Host: c.Host, Login: c.Login, Password: c.Password, Port: c.Port}.TaskEnviron(), nil
}
