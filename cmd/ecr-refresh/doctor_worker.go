package main

import (
	"context"
	"os"
	"time"

	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/token"
)

// checkAWS asks for each source's identity and token, and shows the token to its registries.
func (d *doctor) checkAWS(ctx context.Context) (f findings) {
	ecr := steps.NewECR(d.load)
	tokens := map[steps.TokenSource]*token.Token{}
	for _, t := range d.targets {
		source := t.Source
		if _, asked := tokens[source]; !asked {
			tokens[source] = d.checkSource(ctx, ecr, source, &f)
		}
		if got := tokens[source]; got != nil {
			f.accepted(ctx, d.registry, t, *got)
		}
	}
	return f
}

func (d *doctor) checkSource(ctx context.Context, ecr steps.ECR, source steps.TokenSource, f *findings) *token.Token {
	ctx, cancel := limited(ctx)
	defer cancel()
	if arn, err := steps.WhoAmI(ctx, d.load, source); err != nil {
		f.warn("aws identity", failure.Hint(err), "STS does not say who asks: %s", err)
	} else {
		f.ok("aws identity", "%s", arn)
	}
	endpoint := ""
	cfg, err := d.load(ctx, source.Profile)
	if err == nil {
		endpoint, err = source.EndpointURL(ctx, cfg)
	}
	if err != nil {
		f.fail("ecr "+source.Region, err)
		return nil
	}
	got, err := ecr(ctx, source)
	if !f.judge("ecr "+source.Region, err, "%s gives a token, good until %s", endpoint, got.ExpiresAt.Format(time.RFC3339)) {
		return nil
	}
	return &got
}

func (f *findings) accepted(ctx context.Context, registry *steps.Registry, t steps.Target, got token.Token) {
	ctx, cancel := limited(ctx)
	defer cancel()
	err := registry.Check(ctx, "https://"+t.Registry.Name, got.Username, got.Password)
	f.judge("token at "+t.Registry.Name, err, "accepted")
}

// checkRegistries reaches each registry without a login: name, TLS, clock.
func (d *doctor) checkRegistries(ctx context.Context) (f findings) {
	seen := map[string]bool{}
	for _, t := range d.targets {
		host := t.Registry.Name
		if seen[host] {
			continue
		}
		seen[host] = true
		one, cancel := limited(ctx)
		date, err := d.registry.Reach(one, "https://"+host)
		cancel()
		if f.judge("registry "+host, err, "reachable, its certificate is good") {
			f.clock("clock of "+host, d.now(), date)
		}
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
func (d *doctor) checkWorker(context.Context) (f findings) {
	config := d.dockerConfig()
	for _, t := range d.targets {
		if name := connectionEnv(t.ConnectionID); !unset(os.Getenv(name)) {
			f.warn("connection "+t.ConnectionID, "unset "+name+" on the workers, unless you set it for this shell alone",
				"tasks read %s before Airflow's database, and a refresh reaches only the database", name)
		}
		server := t.Registry.Name
		if conn, found := d.connections[t.ConnectionID]; found && token.Host(conn.Host) == server {
			server = conn.Host
		}
		switch warning, err := config.Check(server, t.Registry.Name); {
		case err != nil:
			f.fail("docker config", err)
		case warning != "":
			f.warn("docker config", "remove the entry", "%s", warning)
		default:
			f.ok("docker config", "no entry of config.json hides the login for %s", t.Registry.Name)
		}
	}
	return f
}
