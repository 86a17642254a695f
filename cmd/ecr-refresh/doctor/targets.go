package doctor

import (
	"context"
	"slices"
	"time"

	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

// each returns a check of every different value that of returns for the targets.
func each[T comparable](
	targets []target.Target, of func(target.Target) T, look func(context.Context, *Findings, T),
) (checks []check) {
	seen := map[T]bool{}
	for _, t := range targets {
		if value := of(t); !seen[value] {
			seen[value] = true
			checks = append(checks, func(ctx context.Context, f *Findings) { look(ctx, f, value) })
		}
	}
	return checks
}

func host(t target.Target) string { return t.Registry.Name }

func source(t target.Target) ecr.Source { return t.Source }

// checkIdentity asks STS. A run does not, so that a failure is only a warning.
func (d *Doctor) checkIdentity(ctx context.Context, f *Findings, source ecr.Source) {
	const name = "aws identity"
	if arn, err := ecr.WhoAmI(ctx, d.AWS, source); err != nil {
		f.add(warn, name, hints.Of(err), "%s", err)
	} else {
		f.add(ok, name, "", "%s", arn)
	}
}

// checkECR gets a token, and then logs in with it at the registries of its source.
func (d *Doctor) checkECR(ctx context.Context, f *Findings, source ecr.Source) {
	token, err := ecr.New(d.AWS)(ctx, source)
	if !f.result("ecr "+source.Region, err, "returned a token, valid until %s", token.ExpiresAt.Format(time.RFC3339)) {
		return
	}
	others := func(t target.Target) bool { return t.Source != source }
	f.then = each(slices.DeleteFunc(slices.Clone(d.targets), others), host,
		func(ctx context.Context, f *Findings, host string) {
			err := d.Registry.Check(ctx, "https://"+host, token.Username, token.Password)
			f.result("registry login", err, "%s accepts the token", host)
		})
}

// checkConfig checks what docker-py makes of the login of a good connection. It ignores a file that it cannot read.
func (d *Doctor) checkConfig(ctx context.Context, f *Findings, host string) {
	const name = "docker config"
	config, unread := input.DockerConfig()
	warning, err := config.Check(ctx, docker.Pull{
		Server: host, Registry: host, Username: "AWS", Reauth: true,
		Accepts: d.Registry.Check,
	})
	switch {
	case unread != nil:
		f.add(warn, name, "repair or remove the file", "docker-py ignores it: %s", unread)
	case err == nil && warning != nil:
		f.add(warn, name, hints.Of(warning), "%s", warning)
	default:
		f.result(name, err, "no entry of config.json overrides the login for %s", host)
	}
}

func (d *Doctor) checkDocker(ctx context.Context, f *Findings) {
	if d.Docker != nil {
		version, api, err := d.Docker.Reach(ctx)
		f.result("docker engine", err, "Docker Engine %s, API %s, at %s", version, api, d.Docker.Host)
	}
}
