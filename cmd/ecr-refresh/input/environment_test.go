package input

import (
	"fmt"
	"strings"
	"testing"

	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

// The environment is one for the process: these tests do not run in parallel.

func TestLookup(t *testing.T) {
	for text, want := range map[string][2]string{
		"": {}, " \n": {}, "None": {}, " None ": {}, "NOTSET": {}, " p ": {"p", " p "}, "none": {"none", "none"},
		"False": {"False", "False"}, "0": {"0", "0"}, "Nonesuch": {"Nonesuch", "Nonesuch"},
	} {
		t.Setenv("TEST_X", text)
		hidden, none := secretIn("TEST_X"), secret.Secret{}
		got := [2]string{lookup("TEST_X"), hidden.Reveal()}
		if got != want || hidden.Empty() && hidden != none {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	for _, row := range []struct{ first, third, want string }{{"", "", ""}, {"None", "c", ""}, {"a ", " c", "a b c"}} {
		t.Setenv("TEST_P", row.first)
		t.Setenv("TEST_P_2", "b")
		t.Setenv("TEST_P_3", row.third)
		t.Setenv("TEST_P_5", "e")
		if text := parts("TEST_P"); text != row.want {
			t.Errorf("%+v: %q", row, text)
		}
	}
}

func TestConnectionIn(t *testing.T) {
	for name, value := range map[string]string{
		"CONN_TYPE": "http", "SCHEMA": "None", "HOST": " af.example.com\n", "PORT": "NOTSET",
		"LOGIN": "refresher", "PASSWORD": " p ",
	} {
		t.Setenv("X_"+name, value)
	}
	c := connectionIn("X_")
	password := c.Password.Reveal()
	c.Password = secret.Secret{}
	want := connection.Connection{Type: "http", Host: "af.example.com", Login: "refresher"}
	if c != want || password != " p " {
		t.Errorf("%+v, password %q", c, password)
	}
}

func TestConnectionOf(t *testing.T) {
	t.Setenv("AIRFLOW_CONN_MY_DOCKER", "\ndocker://AWS:p@r.example.com ")
	for id, want := range map[string]string{"my-docker": "r.example.com", "no_such_connection": ""} {
		if c, err := connectionOf(id); c.Host != want || err != nil {
			t.Errorf("%s: %+v, %v", id, c, err)
		}
	}
	if env := connectionEnv("my-docker"); env != "AIRFLOW_CONN_MY-DOCKER" { // Airflow: conn_id.upper()
		t.Error(env)
	}
	for _, text := range []string{
		"docker://AWS:S3CR/ET@r.example.com",
		"docker://AWS:12345678/x@r.example.com", // a port, to who does not know better
	} {
		t.Setenv("AIRFLOW_CONN_MY_DOCKER", text)
		c, err := connectionOf("my_docker")
		kind, facts := failure.Describe(err)
		if c != (connection.Connection{}) || kind != Malformed || facts.Object != "AIRFLOW_CONN_MY_DOCKER" ||
			!failure.IsPermanent(err) || !strings.HasPrefix(err.Error(), "read AIRFLOW_CONN_MY_DOCKER: ") {
			t.Errorf("%+v, %v, %q %+v", c, err, kind, facts)
		}
		if strings.Contains(err.Error(), "S3CR") || strings.Contains(err.Error(), "1234") {
			t.Error(err)
		}
	}
}

// The password of a proxy is concealed, however its URL is written.
func TestProxyPasswords(t *testing.T) {
	for password, form := range map[string]string{
		"Qm2Zt9Wb4Kx7": "http://me:%s@proxy:3128", "Vj8Rn3Yd6Hp1": "me:%s@proxy:3128",
		"Lc5Td0Gs8Mf2": "socks5://me:%s@proxy",
	} {
		t.Setenv("HTTPS_PROXY", fmt.Sprintf(form, password))
		if err := Prepare(); err != nil || untrusted.New(password).String() != "[redacted]" {
			t.Errorf("%s: not concealed: %v", form, err)
		}
	}
}
