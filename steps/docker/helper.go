package docker

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// askHelper returns what the credential helper docker-credential-NAME has for server, or nil, by docker-py's rules
// (docker/credentials/store.py): output that contains "credentials not found", and an empty login, mean that it has
// none. What the helper prints may be a secret, and is not repeated.
func askHelper(ctx context.Context, name, server string) (*login, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // docker-py would wait for ever
	defer cancel()
	program := "docker-credential-" + name
	cmd := exec.CommandContext(ctx, program, "get") // #nosec G204 -- docker-py runs it too
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(server), time.Second
	output, err := cmd.Output()
	if err != nil && strings.Contains(string(output), "credentials not found in native keychain") {
		return nil, nil
	}
	if err == nil {
		if found, ok := helperLogin(output); ok {
			return found, nil
		}
	}
	why := "fails"
	switch {
	case err == nil:
		why = "prints something else than a login"
	case ctx.Err() != nil:
		why = "does not answer"
	case errors.Is(err, exec.ErrNotFound):
		why = "is not on PATH"
	}
	return nil, failure.Permanent(HelperFails, "%s %s", program, why).About(program).Want(server)
}

// helperLogin reads what a helper printed. Both fields must be there, as docker-py spells them; ok is false where
// docker-py fails.
func helperLogin(output []byte) (found *login, ok bool) {
	if !isJSON(output) {
		return nil, false
	}
	fields, _ := object(output)
	var values [2]string
	for i, name := range []string{"Username", "Secret"} {
		raw, there := fields.get(name)
		if !there {
			return nil, false
		}
		_ = json.Unmarshal(raw, &values[i]) // docker-py looks at no type
	}
	switch {
	case values[0] == "" && values[1] == "":
		return nil, true
	case values[0] == "<token>": // an identity token
		return &login{}, true
	}
	return &login{username: values[0], password: secret.New(values[1])}, true
}
