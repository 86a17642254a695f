package doctor

import (
	"context"
	"strconv"

	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/target"
)

// workerChecks are of what this worker has: Docker, variables that override connections, and docker-py's config.json.
func (x *examination) workerChecks() []check {
	checks := []check{x.checkDocker, x.checkOverriding}
	if x.ConfigErr == nil {
		checks = append(checks, each(x.targets, x.login, x.checkConfig)...)
	}
	return checks
}

func (x *examination) checkDocker(ctx context.Context, f *Findings) {
	const name = "docker engine"
	if x.Docker == nil && x.DockerErr == nil {
		f.add(skip, name, "", "none on this worker: test_docker_connection logs in to the registry itself")
		return
	}
	version, api, host, err := "", "", "", x.DockerErr
	if err == nil {
		host = x.Docker.Host
		version, api, err = x.Docker.Reach(ctx)
	}
	f.result(name, err, "Docker Engine %s, API %s, at %s", version, api, host)
}

// checkOverriding looks for variables and a config.json that make tasks, or docker-py, ignore what others say.
func (x *examination) checkOverriding(_ context.Context, f *Findings) {
	for _, t := range x.targets {
		if name := x.Overriding(t.ConnectionID); name != "" {
			hint := "unset " + name + " on the workers, unless it is set in this shell alone"
			f.add(warn, "connection "+t.ConnectionID, hint,
				"overridden by %s: a refresh updates Airflow's database alone", name)
		}
	}
	if x.ConfigErr != nil {
		f.add(warn, "docker config", "repair or remove the file", "docker-py ignores it: %s", x.ConfigErr)
	}
}

func (x *examination) checkConfig(ctx context.Context, f *Findings, login docker.Login) {
	const name = "docker config"
	warning, err := x.Config.Check(ctx, login)
	if err == nil && warning != nil {
		f.add(warn, name, x.Hint(warning), "%s", warning)
		return
	}
	f.result(name, err, "no entry of config.json overrides the login for %s", login.Registry)
}

// login returns the login that DockerHook makes of a target's connection, or should make if Airflow does not show it.
func (x *examination) login(t target.Target) docker.Login {
	login := docker.Login{Server: hostOf(t), Registry: hostOf(t), Username: "AWS"}
	conn, found := x.connections[t.ConnectionID]
	if !found || registry.Host(conn.Host) != login.Registry {
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
