package main

import (
	"context"
	"slices"
	"strconv"
	"time"

	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

// checkAWS asks for each source's identity and token, and shows the token to its registries.
func (d *doctor) checkAWS(ctx context.Context) findings {
	getToken := ecr.New(d.load)
	hosts, sources := map[ecr.Source][]string{}, []ecr.Source{}
	for _, t := range d.targets {
		if hosts[t.Source] == nil {
			sources = append(sources, t.Source)
		}
		if !slices.Contains(hosts[t.Source], t.Registry.Name) {
			hosts[t.Source] = append(hosts[t.Source], t.Registry.Name)
		}
	}
	return concurrently(ctx, each(sources, func(ctx context.Context, source ecr.Source) findings {
		return concurrently(ctx, []func(context.Context) findings{
			func(ctx context.Context) findings { return d.checkIdentity(ctx, source) },
			func(ctx context.Context) findings { return d.checkECR(ctx, getToken, source, hosts[source]) },
		})
	}))
}

// checkIdentity asks STS who asks. It is no part of a run: a network may have no way to STS.
func (d *doctor) checkIdentity(ctx context.Context, source ecr.Source) (f findings) {
	ctx, cancel := limited(ctx)
	defer cancel()
	if arn, err := ecr.WhoAmI(ctx, d.load, source); err != nil {
		f.warn("aws identity", hintOf(err), "STS does not say who asks: %s", err)
	} else {
		f.ok("aws identity", "%s", arn)
	}
	return f
}

func (d *doctor) checkECR(ctx context.Context, getToken ecr.GetToken, source ecr.Source, hosts []string) (f findings) {
	limit, cancel := limited(ctx)
	defer cancel()
	endpoint := ""
	cfg, err := d.load(limit, source.Profile)
	if err == nil {
		endpoint, err = source.EndpointURL(limit, cfg)
	}
	if err != nil {
		f.fail("ecr "+source.Region, err)
		return f
	}
	got, err := getToken(limit, source)
	if !f.judge("ecr "+source.Region, err, "%s gives a token, good until %s", endpoint, got.ExpiresAt.Format(time.RFC3339)) {
		return f
	}
	return append(f, concurrently(ctx, each(hosts, func(ctx context.Context, host string) findings { return d.checkToken(ctx, host, got) }))...)
}

func (d *doctor) checkToken(ctx context.Context, host string, got secret.Token) (f findings) {
	ctx, cancel := limited(ctx)
	defer cancel()
	err := d.registry.Check(ctx, "https://"+host, got.Username, got.Password)
	f.judge("token at "+host, err, "accepted")
	return f
}

// checkRegistries reaches each registry without a login: name, TLS, clock.
func (d *doctor) checkRegistries(ctx context.Context) findings {
	var hosts []string
	for _, t := range d.targets {
		if !slices.Contains(hosts, t.Registry.Name) {
			hosts = append(hosts, t.Registry.Name)
		}
	}
	return concurrently(ctx, each(hosts, d.checkRegistry))
}

func (d *doctor) checkRegistry(ctx context.Context, host string) (f findings) {
	ctx, cancel := limited(ctx)
	defer cancel()
	date, err := d.registry.Reach(ctx, "https://"+host)
	if f.judge("registry "+host, err, "reachable, its certificate is good") {
		f.clock("clock of "+host, d.now(), date)
	}
	return f
}

// checkEngine asks the Docker Engine for its version.
func (d *doctor) checkEngine(ctx context.Context) (f findings) {
	switch {
	case d.engineErr != nil:
		f.fail("docker engine", d.engineErr)
	case d.engine == nil:
		f.skip("docker engine", "", "--engine none: step 3 asks the registry itself")
	default:
		version, api, err := d.engine.Reach(ctx)
		f.judge("docker engine", err, "Docker Engine %s, API %s, at %s", version, api, d.engine.Host)
	}
	return f
}

// checkWorker looks at what lies on this worker: variables that hide a connection, and docker-py's config.json.
func (d *doctor) checkWorker(ctx context.Context) (f findings) {
	for _, t := range d.targets {
		if name := input.OverriddenBy(t.ConnectionID); name != "" {
			f.warn("connection "+t.ConnectionID, "unset "+name+" on the workers, unless you set it for this shell alone",
				"tasks read %s before Airflow's database, and a refresh reaches only the database", name)
		}
	}
	config, err := input.DockerConfig()
	if err != nil {
		f.warn("docker config", "mend or remove it", "docker-py passes over it: %s", err)
		return f
	}
	var logins []docker.Login
	for _, t := range d.targets {
		if login := d.login(t); !slices.Contains(logins, login) {
			logins = append(logins, login)
		}
	}
	return append(f, concurrently(ctx, each(logins, func(ctx context.Context, login docker.Login) findings { return checkConfig(ctx, config, login) }))...)
}

// login is what DockerHook makes of the connection of a target, or of its registry where Airflow does not show the connection.
func (d *doctor) login(t target.Target) docker.Login {
	login := docker.Login{Server: t.Registry.Name, Registry: t.Registry.Name, Username: "AWS"}
	conn, found := d.connections[t.ConnectionID]
	if !found || registry.Host(conn.Host) != login.Registry {
		return login
	}
	login.Server = conn.Host
	if conn.Port != 0 {
		login.Server += ":" + strconv.Itoa(conn.Port)
	}
	reauth, _ := reauth(conn.Extra)
	login.ReauthOff = !reauth
	return login
}

func checkConfig(ctx context.Context, config docker.Config, login docker.Login) (f findings) {
	switch warning, err := config.Check(ctx, login); {
	case err != nil:
		f.fail("docker config", err)
	case warning != "":
		f.warn("docker config", "", "%s", warning)
	default:
		f.ok("docker config", "no entry of config.json hides the login for %s", login.Registry)
	}
	return f
}
