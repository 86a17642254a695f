package docker

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"

	"ecr-refresh/steps/failure"
)

// helperTimeout bounds one question to a credential helper; docker-py would wait for ever.
const helperTimeout = 10 * time.Second

// helper is a program docker-credential-NAME. (The library's own has no limit in time, and hands stderr on.)
type helper struct{ *exec.Cmd }

// Input implements client.Program.
func (h helper) Input(in io.Reader) { h.Stdin = in }

// askHelper tells whether the credential helper name has a login for server, by docker-py's rules (docker/credentials): it
// takes the text "credentials not found" anywhere in an error, and an empty login, for none. What the helper prints may be
// a secret, and is not repeated.
func askHelper(ctx context.Context, name, server string) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	program := "docker-credential-" + name
	hint := failure.Kind(fmt.Sprintf("remove this entry from the worker's file, or look what is wrong: echo %s | %s get", server, program))
	got, err := client.Get(func(args ...string) client.Program {
		cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- docker-py runs it too
		cmd.WaitDelay = time.Second
		return helper{cmd}
	}, server)
	switch {
	case err == nil:
		return got.Username != "" || got.Secret != "", nil
	case ctx.Err() != nil:
		return false, failure.Permanent(hint, "%s does not answer", program)
	case strings.Contains(err.Error(), credentials.NewErrCredentialsNotFound().Error()):
		return false, nil
	}
	if _, missing := exec.LookPath(program); missing != nil {
		return false, failure.Permanent("install it, or remove this entry from the worker's file", "%s is not on PATH", program)
	}
	return false, failure.Permanent(hint, "%s fails", program)
}
