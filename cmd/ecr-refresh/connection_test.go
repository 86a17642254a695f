package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// Every text is read as a real Airflow reads it (testdata/connections.json names the version). Two things differ on
// purpose: what is not a URI at all is refused, where Airflow makes a connection without a type of it; and port 0 is none.
func TestParseConnectionReadsWhatAirflowReads(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/connections.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			Name, Text, Schema, Host, Port, Login, Password, Error string
			ConnType                                               string `json:"conn_type"`
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Rows) < 25 {
		t.Fatalf("%d rows: %v", len(golden.Rows), err)
	}
	for _, row := range golden.Rows {
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			isURI := !strings.HasPrefix(strings.TrimSpace(row.Text), "{")
			refused := row.Error != "" || isURI && (row.ConnType == "" || !strings.Contains(row.Text, "://"))
			got, err := parseConnection(row.Text)
			if (err != nil) != refused {
				t.Fatalf("%s: error %v, and Airflow: %+v", row.Text, err, row)
			}
			if err != nil {
				checkNothingRepeated(t, err)
				return
			}
			if row.Port == "0" {
				row.Port = ""
			}
			want := connection{row.ConnType, row.Schema, row.Host, row.Port, row.Login, secret.New(row.Password)}
			if !got.password.Equal(want.password) {
				t.Errorf("%s: password %q, want %q", row.Text, got.password.Reveal(), row.Password)
			}
			got.password, want.password = secret.Secret{}, secret.Secret{}
			if got != want {
				t.Errorf("%s:\n got %+v\nwant %+v", row.Text, got, want)
			}
		})
	}
}

// checkNothingRepeated holds for every error of parseConnection: its text does not depend on the input.
func checkNothingRepeated(t *testing.T, err error) {
	t.Helper()
	for _, fixed := range []error{errConnectionJSON, errConnectionURI, errConnectionPort} {
		if errors.Is(err, fixed) && err.Error() == fixed.Error() {
			return
		}
	}
	t.Errorf("error %q may repeat a password", err)
}

func TestParseConnectionRefusesPorts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"conn_type":"http","host":"h","port":70000}`, `{"host":"h","port":"8080x"}`, `{"host":"h","port":[1]}`,
		"http://u:p@h:70000", "docker://AWS:ab/cd@h", "http://u:p@[::1]8080",
	} {
		if c, err := parseConnection(text); err == nil {
			t.Errorf("%s: accepted as %+v", text, c)
		} else {
			checkNothingRepeated(t, err)
		}
	}
}

// FuzzParseConnection: nothing panics, no error repeats the text, and what is read is read the same when it is printed in
// either form.
func FuzzParseConnection(f *testing.F) {
	f.Add("http://https://u:p%2F@[::1]:8080/https?a=b#c")
	f.Add(`{"conn_type":"http","host":"h","login":"u","password":"p","port":"8080","extra":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConnection(text)
		if err != nil {
			checkNothingRepeated(t, err)
			return
		}
		if checkPort(c.port) != nil {
			t.Errorf("%q: port %q", text, c.port)
		}
		base, err := c.baseURL()
		if err == nil && !strings.Contains(base, "://") {
			t.Errorf("%q: base URL %q", text, base)
		}
		if utf8.ValidString(fmt.Sprintf("%#v", c.fields())) && !strings.ContainsRune(text, utf8.RuneError) {
			wantReadAgain(t, c, asJSON(t, c))
			if kind := strings.ReplaceAll(c.connType, "_", "-"); uriScheme.MatchString(kind) && !strings.Contains(c.host, "://") {
				c.host = hostOfURI(c.host)
				wantReadAgain(t, c, asURI(kind, c))
			}
		}
	})
}

// fields gives the connection with its password in clear.
func (c connection) fields() [6]string {
	return [6]string{c.connType, c.schema, c.host, c.port, c.login, c.password.Reveal()}
}

func wantReadAgain(t *testing.T, c connection, printed string) {
	t.Helper()
	if again, err := parseConnection(printed); err != nil || again.fields() != c.fields() {
		t.Errorf("%q is printed as %q, and that is %q, %v", c.fields(), printed, again.fields(), err)
	}
}

func asJSON(t *testing.T, c connection) string {
	t.Helper()
	text, err := json.Marshal(map[string]string{"conn_type": c.connType, "schema": c.schema, "host": c.host, "port": c.port,
		"login": c.login, "password": c.password.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asURI is Airflow's Connection.get_uri.
func asURI(kind string, c connection) string {
	quote := func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
	host := quote(c.host)
	if c.port != "" {
		host += ":" + c.port
	}
	return kind + "://" + quote(c.login) + ":" + quote(c.password.Reveal()) + "@" + host + "/" + quote(c.schema)
}

// hostOfURI: a URI has its host in lower case, unless a path stands in it.
func hostOfURI(host string) string {
	if strings.Contains(host, "/") {
		return host
	}
	return strings.ToLower(host)
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		connType, schema, host, port string
		want, fault                  string
	}{
		{host: "af", want: "http://af"},
		{host: "af", port: "8080", want: "http://af:8080"},
		{connType: "http", host: "af", want: "http://af"},
		{connType: "https", host: "af", want: "https://af"},
		{connType: "generic", host: "af", want: "http://af"},
		{connType: "https", schema: "http", host: "af", want: "http://af"},
		{connType: "http", schema: "https", host: "af", port: "443", want: "https://af:443"},
		{schema: "HTTPS", host: "af", want: "https://af"},
		{host: "af:8080", want: "http://af:8080"},
		{host: "af:8080", port: "8080", want: "http://af:8080"},
		{host: "af:8080", port: "9090", fault: "port is 9090, and host names port 8080"},
		{host: "::1", want: "http://[::1]"},
		{host: "::1", port: "8080", want: "http://[::1]:8080"},
		{host: "[::1]", port: "8080", want: "http://[::1]:8080"},
		{host: "af/base", port: "8080", want: "http://af:8080/base"},
		{host: "https://af.example.com/base", want: "https://af.example.com/base"},
		{host: "https://af.example.com/base", schema: "http", connType: "http", want: "https://af.example.com/base"},
		{host: "https://af.example.com/base", port: "8443", want: "https://af.example.com:8443/base"},
		{host: "https://af:8443/base", port: "8443", want: "https://af:8443/base"},
		{host: "https://af:8443/base", port: "443", fault: "host names port 8443"},
		{host: "https://[::1]/base", port: "8443", want: "https://[::1]:8443/base"},
		{host: "af", schema: "api", fault: `schema "api" is neither http nor https`},
		{host: "af", port: "http", fault: `port "http" is not a number`},
		{host: "af", port: "0", fault: "port"},
		{host: "af", port: "65536", fault: "port"},
		{host: "https://user:S3CRET@af", fault: "without a login"},
		{host: "user:S3CRET@af", fault: "without a login"},
		{host: "https://S3CRET bad", fault: "host is neither"},
		{host: "https://", fault: "host is neither"},
		{port: "8080", fault: "host is neither"},
	} {
		got, err := connection{connType: row.connType, schema: row.schema, host: row.host, port: row.port}.baseURL()
		if row.fault == "" && (err != nil || got != row.want) {
			t.Errorf("%+v: %q, %v", row, got, err)
		}
		if row.fault != "" && (err == nil || !strings.Contains(err.Error(), row.fault) || strings.Contains(err.Error(), "S3CRET")) {
			t.Errorf("%+v: %q, error %v", row, got, err)
		}
	}
}

func TestBaseURLNamesThePlaceOfABasePath(t *testing.T) {
	t.Parallel()
	_, err := connection{host: "af", schema: "base/path"}.baseURL()
	if !failure.IsPermanent(err) || !strings.Contains(failure.Hint(err), "https://host/path") {
		t.Errorf("%v, hint %q", err, failure.Hint(err))
	}
}

// The environment is one for the process: these tests do not run in parallel.

func TestConnectionFields(t *testing.T) {
	for name, value := range map[string]string{
		"CONN_TYPE": "http", "SCHEMA": "None", "HOST": " af.example.com\n", "PORT": "NOTSET", "LOGIN": "refresher", "PASSWORD": " p ",
	} {
		t.Setenv("X_"+name, value)
	}
	c, found := connectionFields("X_")
	if !found || !c.password.Equal(secret.New(" p ")) {
		t.Errorf("found %v, password %q", found, c.password.Reveal())
	}
	c.password = secret.Secret{}
	if want := (connection{connType: "http", host: "af.example.com", login: "refresher"}); c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func TestConnectionFieldsFindsAPasswordAlone(t *testing.T) {
	t.Setenv("Y_PASSWORD", "p")
	if _, found := connectionFields("Y_"); !found {
		t.Error("not found")
	}
	t.Setenv("Y_PASSWORD", "None")
	if _, found := connectionFields("Y_"); found {
		t.Error("None is a password")
	}
}

func TestConnectionFromEnv(t *testing.T) {
	if _, found, err := connectionFromEnv("no_such_connection"); found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	t.Setenv("AIRFLOW_CONN_MY_DOCKER", "\ndocker://AWS:p@r.example.com ")
	c, found, err := connectionFromEnv("my_docker")
	if !found || err != nil || c.host != "r.example.com" {
		t.Errorf("%+v, %v, %v", c, found, err)
	}
	t.Setenv("AIRFLOW_CONN_MY_DOCKER", "docker://AWS:S3CR/ET@r.example.com")
	_, found, err = connectionFromEnv("my_docker")
	if !found || !failure.IsPermanent(err) || !strings.Contains(err.Error(), "AIRFLOW_CONN_MY_DOCKER") || strings.Contains(err.Error(), "S3CR") {
		t.Errorf("%v, %v", found, err)
	}
}
