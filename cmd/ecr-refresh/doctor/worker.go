package doctor

import (
	"context"
	"strconv"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/target"
)

// workerChecks are of what this worker has: Docker, and docker-py's config.json.
func (d *Doctor) workerChecks() []check {
	return append(each(d.targets, d.login, d.checkConfig), d.checkDocker)
}

func (d *Doctor) checkDocker(ctx context.Context, f *Findings) {
	if d.Docker == nil {
		return
	}
	version, api, err := d.Docker.Reach(ctx)
	f.result("docker engine", err, "Docker Engine %s, API %s, at %s", version, api, d.Docker.Host)
}

// checkConfig checks what docker-py makes of a login. It ignores a file that it cannot read.
func (d *Doctor) checkConfig(ctx context.Context, f *Findings, login docker.Login) {
	const name = "docker config"
	config, err := input.DockerConfig()
	if err != nil {
		f.add(warn, name, "repair or remove the file", "docker-py ignores it: %s", err)
		return
	}
	warning, err := config.Check(ctx, login)
	if err == nil && warning != nil {
		f.add(warn, name, d.Hint(warning), "%s", warning)
		return
	}
	f.result(name, err, "no entry of config.json overrides the login for %s", login.Registry)
}

// login returns the login that DockerHook makes of a target's connection, or should make if Airflow does not show it.
func (d *Doctor) login(t target.Target) docker.Login {
	host := t.Registry.Name
	login := docker.Login{Server: host, Registry: host, Username: "AWS"}
	conn, found := d.connections[t.ConnectionID]
	if !found || registry.Host(conn.Host) != host {
		return login
	}
	login.Server = conn.Host
	if conn.Port != 0 {
		login.Server += ":" + strconv.Itoa(conn.Port)
	}
	on, _ := reauth(conn.Extra)
	login.ReauthOff = !on
	return login
}
