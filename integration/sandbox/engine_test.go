package sandbox_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"ecr-refresh/integration/sandbox"

	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
)

// engineClient is Docker's own client.
func engineClient(t *testing.T, s *sandbox.Sandbox, opts ...client.Opt) *client.Client {
	t.Helper()
	opts = append([]client.Opt{client.WithHost(s.Engine.Host()), client.WithAPIVersionNegotiation()}, opts...)
	c, err := client.NewClientWithOpts(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestEnginePingAndVersion(t *testing.T) {
	s := start(t, sandbox.Options{})
	c := engineClient(t, s)
	ping, err := c.Ping(t.Context())
	if err != nil || ping.APIVersion != "1.51" || ping.OSType != "linux" {
		t.Errorf("%+v, %v", ping, err)
	}
	version, err := c.ServerVersion(t.Context())
	if err != nil || version.Version != "28.5.2" || version.MinAPIVersion != "1.24" {
		t.Errorf("%+v, %v", version, err)
	}
}

func TestEngineLogin(t *testing.T) {
	s := start(t, sandbox.Options{})
	c := engineClient(t, s)
	password := newToken(t, s).Password
	for address, want := range map[string]string{
		s.RegistryHost():              "",
		"https://" + s.RegistryHost(): "",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com": "login attempt to " +
			"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/ failed with status: 400 Bad Request",
		"":            `Get "https://registry-1.docker.io/v2/": Forbidden`,
		"example.com": `Get "https://example.com/v2/": Forbidden`,
	} {
		body, err := c.RegistryLogin(t.Context(),
			registry.AuthConfig{Username: "AWS", Password: password, ServerAddress: address})
		switch {
		case want == "" && (err != nil || body.Status != "Login Succeeded" || body.IdentityToken != ""):
			t.Errorf("%q: %+v, %v", address, body, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %s", address, err, want)
		}
	}
	if got := s.Engine.Logins(); len(got) != 5 || got[0].Username != "AWS" {
		t.Errorf("%v", got)
	}
}

func TestEngineLoginWithABadPassword(t *testing.T) {
	s := start(t, sandbox.Options{})
	token := newToken(t, s)
	login := func() string {
		_, err := engineClient(t, s).RegistryLogin(t.Context(),
			registry.AuthConfig{Username: "AWS", Password: token.Password, ServerAddress: s.RegistryHost()})
		if err == nil {
			return ""
		}
		return err.Error()
	}
	s.ECR.ExpireTokens()
	want := "Error response from daemon: login attempt to https://" + s.RegistryHost() +
		"/v2/ failed with status: 403 Forbidden"
	if got := login(); got != want {
		t.Errorf("expired: %s", got)
	}
	s.Registry.SetStatus(401)
	if got := login(); !strings.HasSuffix(got, "failed with status: 401 Unauthorized") {
		t.Errorf("refused: %s", got)
	}
	s.Registry.SetDown(true)
	if got := login(); got == "" {
		t.Error("the registry is down")
	}
}

func TestEngineVersions(t *testing.T) {
	s := start(t, sandbox.Options{})
	for version, want := range map[string]string{
		"1.99": "client version 1.99 is too new. Maximum supported API version is 1.51",
		"1.9": "client version 1.9 is too old. Minimum supported API version is 1.24, " +
			"please upgrade your client to a newer version",
	} {
		if _, err := engineClient(t, s, client.WithVersion(version)).ServerVersion(t.Context()); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", version, err)
		}
	}
	s.Engine.SetVersion("20.10.24", "1.41", "1.12")
	c := engineClient(t, s)
	version, err := c.ServerVersion(t.Context())
	if err != nil || version.Version != "20.10.24" || c.ClientVersion() != "1.41" {
		t.Errorf("%+v at %s, %v", version, c.ClientVersion(), err)
	}
}

func TestEnginePaths(t *testing.T) {
	s := start(t, sandbox.Options{})
	plain := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn,
		error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(s.Engine.Host(), "unix://"))
	}}}
	defer plain.CloseIdleConnections()
	for call, want := range map[string]int{
		"GET /_ping": 200, "HEAD /_ping": 200, "GET /v1.51/_ping": 200, "GET /version": 200, "GET /v1.24/version": 200,
		"POST /auth": 500, "GET /info": 404, "GET /v1.51/auth": 404,
	} {
		method, path, _ := strings.Cut(call, " ")
		response, body := do(t, plain, newRequest(t, method, "http://engine"+path, ""))
		if response.StatusCode != want || response.Header.Get("Api-Version") != "1.51" {
			t.Errorf("%s: %d %s", call, response.StatusCode, body)
		}
	}
}

func TestEngineDown(t *testing.T) {
	s := start(t, sandbox.Options{})
	if err := s.Engine.SetDown(true); err != nil {
		t.Fatal(err)
	}
	if _, err := engineClient(t, s).Ping(t.Context()); !client.IsErrConnectionFailed(err) {
		t.Errorf("%v", err)
	}
	if err := s.Engine.SetDown(false); err != nil {
		t.Fatal(err)
	}
	if _, err := engineClient(t, s).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
