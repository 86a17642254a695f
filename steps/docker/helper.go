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
	"ecr-refresh/steps/transport"
)

// askHelper returns what the credential helper docker-credential-NAME has for server, or nil, by docker-py's rules
// (docker/credentials/store.py): output that contains "credentials not found", and an empty login, mean that it has
// none. What the helper prints may be a secret, and is not repeated.
func askHelper(ctx context.Context, environ []string, name, server string) (*login, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // docker-py would wait for ever
	defer cancel()
	program := "docker-credential-" + name
	cmd := exec.CommandContext(ctx, program, "get") // #nosec G204 -- docker-py runs it too
	var output capped
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.WaitDelay = environ, strings.NewReader(server), &output, time.Second
	err := cmd.Run()
	why := "fails"
	switch {
	case err == nil:
		if found, ok := helperLogin(output); ok {
			return found, nil
		}
		why = "prints something else than a login"
	case strings.Contains(string(output), "credentials not found in native keychain"):
		return nil, nil
	case ctx.Err() != nil:
		why = "does not answer"
	case errors.Is(err, exec.ErrNotFound):
		why = "is not on PATH"
	}
	return nil, failure.Permanent(HelperFails, "%s %s", program, why).About(program).Want(server)
}

// capped keeps what a program writes. More than a response may have is an error, which closes the program's pipe.
type capped []byte

func (c *capped) Write(text []byte) (int, error) {
	if len(*c)+len(text) > transport.MaxResponse {
		return 0, errors.New("too long")
	}
	*c = append(*c, text...)
	return len(text), nil
}

// helperLogin reads what a helper printed; ok is false where docker-py fails.
func helperLogin(output []byte) (found *login, ok bool) {
	var fields map[string]any // docker-py looks at no type
	if !isJSON(output) || json.Unmarshal(output, &fields) != nil {
		return nil, false
	}
	username, hasUsername := fields["Username"]
	password, hasSecret := fields["Secret"]
	found = new(login)
	switch {
	case !hasUsername || !hasSecret:
		return nil, false
	case !IsTrue(username) && !IsTrue(password):
		return nil, true
	case username != "<token>": // else an identity token
		text, _ := password.(string)
		found.username, _ = username.(string)
		found.password = secret.New(text)
	}
	return found, true
}
