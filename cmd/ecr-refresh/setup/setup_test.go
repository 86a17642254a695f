package setup

import (
	"strings"
	"testing"

	"ecr-refresh/airflowclient"
)

const (
	plain = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	fips  = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
)

func TestSetRegistry(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]Wanted{
		plain: {Registry: plain, Account: "123456789012", Region: "us-east-1"},
		fips: {
			Registry: fips, Account: "123456789012", Region: "us-east-1",
			Targets: `[{"connection_id":"docker_default","registry":"` + fips + `"}]`,
		},
		"public.ecr.aws": {
			Registry: "public.ecr.aws", Region: "us-east-1",
			Targets: `[{"connection_id":"docker_default","registry":"public.ecr.aws"}]`,
		},
	} {
		var got Wanted
		if err := got.SetRegistry(host); err != nil || got != want {
			t.Errorf("%s: %+v, %v", host, got, err)
		}
	}
	var w Wanted
	if err := w.SetRegistry("docker.io"); err == nil {
		t.Error("docker.io is accepted")
	}
}

// A connection is compared by the URL that it leads to, and its login.
func TestAirflowDiffers(t *testing.T) {
	t.Parallel()
	s := Setup{Wanted: Wanted{BaseURL: "https://h:8443", Login: "l"}}
	for is, want := range map[airflowclient.Connection]int{
		{Type: "http", Host: "https://h:8443/", Login: "l"}:                   0,
		{Type: "generic", Schema: "https", Host: "h", Port: 8443, Login: "l"}: 0,
		{Type: "http", Host: "h", Port: 8443, Login: "l"}:                     1,
		{Type: "http", Host: "https://h:8443/a", Login: "m"}:                  2,
		{Type: "http"}: 2,
	} {
		if differs := s.airflowDiffers(is); len(differs) != want {
			t.Errorf("%+v differs in %q", is, differs)
		}
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	w := Wanted{BaseURL: "http://h", Login: "it's me", Registry: plain, Account: "123456789012", Region: "us-east-1"}
	text := string(w.Commands())
	for _, want := range []string{
		" --conn-host http://h --conn-login 'it'\\''s me' --conn-password \"$ECR_REFRESH_AIRFLOW_PASSWORD\"\n",
		"airflow users create --username 'it'\\''s me' --role ecr_refresh ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "keygen") {
		t.Errorf("a key pair:\n%s", text)
	}
}
