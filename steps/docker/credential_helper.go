package docker

import (
	"context"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"

	"ecr-refresh/steps/failure"
)

// helperTimeout bounds one call of a credential helper; docker-py would wait for ever.
const helperTimeout = 10 * time.Second

// helper is a program docker-credential-NAME. (The library's own has no timeout, and passes stderr on.)
type helper struct{ *exec.Cmd }

// Input implements client.Program.
func (h helper) Input(in io.Reader) { h.Stdin = in }

// askHelper reports whether the credential helper has a login for server, by docker-py's rules (docker/credentials): an
// error that contains "credentials not found", and an empty login, mean that it has none. What the helper prints may be
// a secret, and is not repeated.
func askHelper(ctx context.Context, name, server string) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	program := "docker-credential-" + name
	got, err := client.Get(func(args ...string) client.Program {
		cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- docker-py runs it too
		cmd.WaitDelay = time.Second
		return helper{cmd}
	}, server)
	if err == nil {
		return got.Username != "" || got.Secret != "", nil
	}
	_, missing := exec.LookPath(program)
	switch {
	case ctx.Err() != nil:
		err = failure.Permanent(HelperFails, "%s does not answer", program)
	case strings.Contains(err.Error(), credentials.NewErrCredentialsNotFound().Error()):
		return false, nil
	case missing != nil:
		err = failure.Permanent(HelperMissing, "%s is not on PATH", program)
	default:
		err = failure.Permanent(HelperFails, "%s fails", program)
	}
	return false, failure.With(err, failure.Facts{Object: program, Want: server})
}
