package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
)

func TestEngineLogin(t *testing.T) {
	t.Parallel()
	s := start(t)
	docker, err := client.NewClientWithOpts(client.WithHost(s.Engine.Host()), client.WithAPIVersionNegotiation())
	must(t, err)
	defer docker.Close()
	password := s.token()
	login := func(address string) string {
		body, err := docker.RegistryLogin(t.Context(),
			registry.AuthConfig{Username: "AWS", Password: password, ServerAddress: address})
		return fmt.Sprint(body.Status, err)
	}
	for address, want := range map[string]string{
		s.RegistryHost():              "Login Succeeded<nil>",
		"https://" + s.RegistryHost(): "Login Succeeded<nil>",
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
