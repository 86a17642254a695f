package sandbox_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// checkV2 asks a registry with credentials, or without any for an empty username.
func checkV2(t *testing.T, s *sandbox.Sandbox, host, username, password string) (int, string) {
	t.Helper()
	client := s.HTTPClient()
	defer client.CloseIdleConnections()
	request := newRequest(t, "GET", "https://"+host+"/v2/", "")
	if username != "" {
		request.SetBasicAuth(username, password)
	}
	response, body := do(t, client, request)
	if got := response.Header.Get("Docker-Distribution-Api-Version"); got != "registry/2.0" {
		t.Errorf("Docker-Distribution-Api-Version: %q", got)
	}
	return response.StatusCode, body
}

// newToken issues a token by the sandbox's own ECR.
func newToken(t *testing.T, s *sandbox.Sandbox) sandbox.Token {
	t.Helper()
	if _, err := ecrClient(t, s, s.ECR.Credentials()).GetAuthorizationToken(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return s.ECR.LastToken()
}

func TestRegistryVerifiesTheToken(t *testing.T) {
	s := start(t, sandbox.Options{})
	token := newToken(t, s)
	foreign := base64.StdEncoding.EncodeToString([]byte(`{"payload":"x"}`))
	for _, test := range []struct {
		name, host, username, password string
		status                         int
		text                           string
	}{
		{"good", s.RegistryHost(), "AWS", token.Password, 200, "{}"},
		{"another account", "210987654321.dkr.ecr.us-east-1.amazonaws.com", "AWS", token.Password, 200, "{}"},
		{"dual-stack", "123456789012.dkr-ecr.us-east-1.on.aws", "AWS", token.Password, 200, "{}"},
		{"another region", "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS", token.Password, 400, ""},
		{"mangled", s.RegistryHost(), "AWS", token.Password[:100], 400, ""},
		{"not ours", s.RegistryHost(), "AWS", foreign, 403, "invalid"},
		{"another user", s.RegistryHost(), "root", token.Password, 401, "Not Authorized"},
		{"nobody", s.RegistryHost(), "", "", 401, "Not Authorized"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, text := checkV2(t, s, test.host, test.username, test.password)
			if status != test.status || !strings.Contains(text, test.text) {
				t.Errorf("got %d %s, want %d %s", status, text, test.status, test.text)
			}
		})
	}
	if got := s.Registry.Checks(); len(got) != 8 ||
		got[3] != (sandbox.Check{Host: "123456789012.dkr.ecr.eu-west-1.amazonaws.com", Username: "AWS", Status: 400}) {
		t.Errorf("checks: %v", got)
	}
}

func TestRegistryChallenge(t *testing.T) {
	s := start(t, sandbox.Options{})
	client := s.HTTPClient()
	defer client.CloseIdleConnections()
	response, _ := do(t, client, newRequest(t, "GET", "https://"+s.RegistryHost()+"/v2/", ""))
	want := `Basic realm="https://` + s.RegistryHost() + `/",service="ecr.amazonaws.com"`
	if got := response.Header.Get("Www-Authenticate"); got != want {
		t.Errorf("got %s", got)
	}
	for path, status := range map[string]int{"/v2": 404, "/": 404, "/v2/repo/tags/list": 404} {
		if response, _ := do(t, client, newRequest(t, "GET", "https://"+s.RegistryHost()+path,
			"")); response.StatusCode != status {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
}

func TestRegistryExpiry(t *testing.T) {
	now := time.Now()
	s := start(t, sandbox.Options{Now: func() time.Time { return now }})
	token := newToken(t, s)
	now = now.Add(12*time.Hour - time.Second)
	if status, _ := checkV2(t, s, s.RegistryHost(), "AWS", token.Password); status != 200 {
		t.Errorf("a second before: %d", status)
	}
	now = now.Add(time.Second)
	status, text := checkV2(t, s, s.RegistryHost(), "AWS", token.Password)
	if status != 403 || text != "Your authorization token has expired. Reauthenticate and try again." {
		t.Errorf("then: %d %s", status, text)
	}
}

func TestRegistryKnobs(t *testing.T) {
	s := start(t, sandbox.Options{})
	token := newToken(t, s)
	status := func() int {
		got, _ := checkV2(t, s, s.RegistryHost(), "AWS", token.Password)
		return got
	}
	var got []int
	s.Registry.Refuse(true)
	got = append(got, status())
	s.Registry.Refuse(false)
	s.Registry.SetStatus(http.StatusBadGateway)
	got = append(got, status())
	s.Registry.SetStatus(0)
	s.ECR.ExpireTokens()
	got = append(got, status())
	s.ECR.SetPassword("short")
	token = newToken(t, s)
	got = append(got, status())
	if !slices.Equal(got, []int{403, 502, 403, 200}) {
		t.Errorf("got %v", got)
	}
}
