package sandbox_test

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
)

// engine is Docker's own client.
func (f *fixture) engine(opts ...client.Opt) *client.Client {
	f.t.Helper()
	opts = append([]client.Opt{client.WithHost(f.Engine.Host()), client.WithAPIVersionNegotiation()}, opts...)
	c, err := client.NewClientWithOpts(opts...)
	must(f.t, err)
	f.t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestEngineLogin(t *testing.T) {
	t.Parallel()
	s := start(t)
	password := s.token()
	login := func(address string) string {
		body, err := s.engine().RegistryLogin(t.Context(),
			registry.AuthConfig{Username: "AWS", Password: password, ServerAddress: address})
		if err != nil {
			return err.Error()
		}
		return body.Status
	}
	for address, want := range map[string]string{
		s.RegistryHost():              "Login Succeeded",
		"https://" + s.RegistryHost(): "Login Succeeded",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com": "Error response from daemon: login attempt to " +
			"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/ failed with status: 400 Bad Request",
		"":            `Get "https://registry-1.docker.io/v2/": Forbidden`,
		"example.com": `Get "https://example.com/v2/": Forbidden`,
	} {
		if got := login(address); !strings.HasSuffix(got, want) {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
	s.ECR.ExpireTokens()
	if got := login(s.RegistryHost()); !strings.HasSuffix(got, "failed with status: 403 Forbidden") {
		t.Errorf("expired: %s", got)
	}
	if got := s.Engine.Logins(); len(got) != 6 || got[0].Username != "AWS" || got[5].Status != 500 {
		t.Errorf("%v", got)
	}
}

func TestEngineVersions(t *testing.T) {
	t.Parallel()
	s := start(t)
	for version, want := range map[string]string{
		"1.99": "client version 1.99 is too new. Maximum supported API version is 1.51",
		"1.9":  "client version 1.9 is too old. Minimum supported API version is 1.24, please upgrade",
	} {
		if _, err := s.engine(client.WithVersion(version)).ServerVersion(t.Context()); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", version, err)
		}
	}
	s.Engine.SetVersion("20.10.24", "1.41", "1.12")
	c := s.engine()
	version, err := c.ServerVersion(t.Context())
	if err != nil || version.Version != "20.10.24" || version.MinAPIVersion != "1.12" || c.ClientVersion() != "1.41" {
		t.Errorf("%+v at %s, %v", version, c.ClientVersion(), err)
	}
	must(t, s.Engine.SetDown(true))
	if _, err := s.engine().Ping(t.Context()); !client.IsErrConnectionFailed(err) {
		t.Errorf("down: %v", err)
	}
}
