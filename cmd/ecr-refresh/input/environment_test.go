package input

import (
	"strings"
	"testing"

	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// The environment is one for the process: these tests do not run in parallel.

func TestLookup(t *testing.T) {
	for text, want := range map[string][2]string{
		"": {}, " \n": {}, "None": {}, " None ": {}, "NOTSET": {}, " p ": {"p", " p "}, "none": {"none", "none"},
		"False": {"False", "False"}, "0": {"0", "0"}, "Nonesuch": {"Nonesuch", "Nonesuch"},
	} {
		t.Setenv("TEST_X", text)
		if got := [2]string{lookup("TEST_X"), secretIn("TEST_X").Reveal()}; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	if text, set := parts("TEST_P"); text != "" || set {
		t.Errorf("%q, %v", text, set)
	}
	t.Setenv("TEST_P", "None")
	t.Setenv("TEST_P_2", "b")
	if text, set := parts("TEST_P"); text != "" || !set {
		t.Errorf("empty first part: %q, %v", text, set)
	}
	t.Setenv("TEST_P", "a ")
	t.Setenv("TEST_P_3", " c")
	t.Setenv("TEST_P_5", "e")
	if text, set := parts("TEST_P"); text != "a b c" || !set {
		t.Errorf("%q, %v", text, set)
	}
}

func TestConnectionIn(t *testing.T) {
	for name, value := range map[string]string{
		"CONN_TYPE": "http", "SCHEMA": "None", "HOST": " af.example.com\n", "PORT": "NOTSET",
		"LOGIN": "refresher", "PASSWORD": " p ",
	} {
		t.Setenv("X_"+name, value)
	}
	c, found := connectionIn("X_")
	password := c.Password.Reveal()
	c.Password = secret.Secret{}
	want := connection.Connection{Type: "http", Host: "af.example.com", Login: "refresher"}
	if !found || c != want || password != " p " {
		t.Errorf("found %v, %+v, password %q", found, c, password)
	}
	for value, want := range map[string]bool{"p": true, "None": false} {
		t.Setenv("Y_PASSWORD", value)
		if _, found := connectionIn("Y_"); found != want {
			t.Errorf("password %q alone: found %v", value, found)
		}
	}
}

func TestConnectionOf(t *testing.T) {
	if c, found, err := connectionOf("no_such_connection"); found || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	t.Setenv("AIRFLOW_CONN_MY_DOCKER", "\ndocker://AWS:p@r.example.com ")
	if c, found, err := connectionOf("my-docker"); !found || err != nil || c.Host != "r.example.com" {
		t.Errorf("%+v, %v, %v", c, found, err)
	}
	if env := connectionEnv("my-docker"); env != "AIRFLOW_CONN_MY-DOCKER" { // Airflow: conn_id.upper()
		t.Error(env)
	}
	for _, text := range []string{
		"docker://AWS:S3CR/ET@r.example.com",
		"docker://AWS:12345678/x@r.example.com", // a port, to who does not know better
	} {
		t.Setenv("AIRFLOW_CONN_MY_DOCKER", text)
		c, found, err := connectionOf("my_docker")
		kind, facts := failure.Describe(err)
		if !found || c != (connection.Connection{}) || kind != Malformed || facts.Object != "AIRFLOW_CONN_MY_DOCKER" ||
			!failure.IsPermanent(err) || !strings.HasPrefix(err.Error(), "read AIRFLOW_CONN_MY_DOCKER: ") {
			t.Errorf("%+v, %v, %v, %q %+v", c, found, err, kind, facts)
		}
		if strings.Contains(err.Error(), "S3CR") || strings.Contains(err.Error(), "1234") {
			t.Error(err)
		}
	}
}
