package doctor

import (
	"context"

	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps/docker"
)

// workerChecks are of what this worker has: Docker, and docker-py's config.json.
func (d *Doctor) workerChecks() []check {
	return append(each(d.targets, host, d.checkConfig), d.checkDocker)
}

func (d *Doctor) checkDocker(ctx context.Context, f *Findings) {
	if d.Docker == nil {
		return
	}
	version, api, err := d.Docker.Reach(ctx)
	f.result("docker engine", err, "Docker Engine %s, API %s, at %s", version, api, d.Docker.Host)
}

// checkConfig checks what docker-py makes of the login of a good connection. It ignores a file that it cannot read.
func (d *Doctor) checkConfig(ctx context.Context, f *Findings, host string) {
	const name = "docker config"
	config, unread := input.DockerConfig()
	warning, err := config.Check(ctx, docker.Pull{
		Server: host, Registry: host, Username: "AWS", Reauth: true, Accepts: d.Registry.Check,
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
