package docker

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"time"

	"ecr-refresh/steps/failure"
)

// helperTimeout bounds one call of a credential helper; docker-py would wait for ever.
const helperTimeout = 10 * time.Second

// askHelper reports whether the credential helper docker-credential-NAME has a login for server, by docker-py's rules
// (docker/credentials/store.py): output that contains "credentials not found", and an empty login, mean that it has
// none. What the helper prints may be a secret, and is not repeated.
func askHelper(ctx context.Context, name, server string) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	program := "docker-credential-" + name
	cmd := exec.CommandContext(ctx, program, "get") // #nosec G204 -- docker-py runs it too
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(server), time.Second
	output, err := cmd.Output()
	var login struct{ Username, Secret string }
	if err == nil {
		err = json.Unmarshal(output, &login)
	} else if strings.Contains(string(output), "credentials not found in native keychain") {
		return false, nil
	}
	if err == nil {
		return login.Username != "" || login.Secret != "", nil
	}
	why := "fails"
	if ctx.Err() != nil {
		why = "does not answer"
	} else if errors.Is(err, exec.ErrNotFound) {
		why = "is not on PATH"
	}
	err = failure.Permanent(HelperFails, "%s %s", program, why)
	return false, failure.With(err, failure.Facts{Object: program, Want: server})
}
