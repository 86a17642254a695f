package connection

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// Every text is read as a real Airflow reads it (testdata/connections.json names the version). Two things differ on
// purpose: what is not a URI at all is rejected, where Airflow makes a connection without a type of it; port 0 is none.
func TestParseReadsWhatAirflowReads(t *testing.T) {
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
			rejected := row.Error != "" || isURI && (row.ConnType == "" || !strings.Contains(row.Text, "://"))
			got, err := Parse(row.Text)
			if (err != nil) != rejected {
				t.Fatalf("%s: error %v, and Airflow: %+v", row.Text, err, row)
			}
			if err != nil {
				checkNothingRepeated(t, err)
				return
			}
			if row.Port == "0" {
				row.Port = ""
			}
			want := Connection{row.ConnType, row.Schema, row.Host, row.Port, row.Login, secret.New(row.Password)}
			if !got.Password.Equal(want.Password) {
				t.Errorf("%s: password %q, want %q", row.Text, got.Password.Reveal(), row.Password)
			}
			got.Password, want.Password = secret.Secret{}, secret.Secret{}
			if got != want {
				t.Errorf("%s:\n got %+v\nwant %+v", row.Text, got, want)
			}
		})
	}
}

// checkNothingRepeated holds for every error of Parse: its text does not depend on the input.
func checkNothingRepeated(t *testing.T, err error) {
	t.Helper()
	for _, fixed := range []error{errJSON, errURI, errPort} {
		if errors.Is(err, fixed) && err.Error() == fixed.Error() {
			return
		}
	}
	t.Errorf("error %q may repeat a password", err)
}

func TestParseRejectsPorts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"conn_type":"http","host":"h","port":70000}`, `{"host":"h","port":"8080x"}`, `{"host":"h","port":[1]}`,
		"http://u:p@h:70000", "docker://AWS:ab/cd@h", "http://u:p@[::1]8080",
	} {
		if c, err := Parse(text); err == nil {
			t.Errorf("%s: accepted as %+v", text, c)
		} else {
			checkNothingRepeated(t, err)
		}
	}
}

// FuzzParse: nothing panics, no error repeats the text, and what is read is read the same when it is printed in
// either form.
func FuzzParse(f *testing.F) {
	f.Add("http://https://u:p%2F@[::1]:8080/https?a=b#c")
	f.Add(`{"conn_type":"http","host":"h","login":"u","password":"p","port":"8080","extra":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			checkNothingRepeated(t, err)
			return
		}
		if CheckPort(c.Port) != nil {
			t.Errorf("%q: port %q", text, c.Port)
		}
		base, err := c.BaseURL()
		if err == nil && !strings.Contains(base, "://") {
			t.Errorf("%q: base URL %q", text, base)
		}
		if utf8.ValidString(fmt.Sprint(c.fields())) && !strings.ContainsRune(text, utf8.RuneError) {
			wantReadAgain(t, c, asJSON(t, c))
			if kind := strings.ReplaceAll(c.Type, "_", "-"); regexp.MustCompile(`^`+scheme+`$`).MatchString(kind) && !strings.Contains(c.Host, "://") {
				c.Host = hostOfURI(c.Host)
				wantReadAgain(t, c, asURI(kind, c))
			}
		}
	})
}

// fields returns the connection with its password in clear.
func (c Connection) fields() [6]string {
	return [6]string{c.Type, c.Schema, c.Host, c.Port, c.Login, c.Password.Reveal()}
}

func wantReadAgain(t *testing.T, c Connection, printed string) {
	t.Helper()
	if again, err := Parse(printed); err != nil || again.fields() != c.fields() {
		t.Errorf("%q is printed as %q, and that is %q, %v", c.fields(), printed, again.fields(), err)
	}
}

func asJSON(t *testing.T, c Connection) string {
	t.Helper()
	text, err := json.Marshal(map[string]string{"conn_type": c.Type, "schema": c.Schema, "host": c.Host, "port": c.Port,
		"login": c.Login, "password": c.Password.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asURI is Airflow's Connection.get_uri.
func asURI(kind string, c Connection) string {
	quote := func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
	host := quote(c.Host)
	if c.Port != "" {
		host += ":" + c.Port
	}
	return kind + "://" + quote(c.Login) + ":" + quote(c.Password.Reveal()) + "@" + host + "/" + quote(c.Schema)
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
		ctype, schema, host, port string
		want, fault               string
	}{
		{host: "af", want: "http://af"},
		{host: "af", port: "8080", want: "http://af:8080"},
		{ctype: "http", host: "af", want: "http://af"},
		{ctype: "https", host: "af", want: "https://af"},
		{ctype: "generic", host: "af", want: "http://af"},
		{ctype: "https", schema: "http", host: "af", want: "http://af"},
		{ctype: "http", schema: "https", host: "af", port: "443", want: "https://af:443"},
		{schema: "HTTPS", host: "af", want: "https://af"},
		{host: "af:8080", want: "http://af:8080"},
		{host: "af:8080", port: "8080", want: "http://af:8080"},
		{host: "af:8080", port: "9090", fault: "port is 9090, and its host has port 8080"},
		{host: "::1", want: "http://[::1]"},
		{host: "::1", port: "8080", want: "http://[::1]:8080"},
		{host: "[::1]", port: "8080", want: "http://[::1]:8080"},
		{host: "af/base", port: "8080", want: "http://af:8080/base"},
		{host: "https://af.example.com/base", want: "https://af.example.com/base"},
		{host: "https://af.example.com/base", schema: "http", ctype: "http", want: "https://af.example.com/base"},
		{host: "https://af.example.com/base", port: "8443", want: "https://af.example.com:8443/base"},
		{host: "https://af:8443/base", port: "8443", want: "https://af:8443/base"},
		{host: "https://af:8443/base", port: "443", fault: "host has port 8443"},
		{host: "https://[::1]/base", port: "8443", want: "https://[::1]:8443/base"},
		{host: "af", schema: "api", fault: `schema "api" is neither http nor https`},
		{host: "af", port: "http", fault: `port "http" is not a number`},
		{host: "af", port: "0", fault: "port"},
		{host: "af", port: "65536", fault: "port"},
		{host: "https://user:S3CRET@af", fault: "without a login"},
		{host: "user:S3CRET@af", fault: "without a login"},
		{host: "https://S3CRET bad", fault: "host is neither a name"},
		{host: "https://", fault: "host is neither a name"},
		{port: "8080", fault: "host is neither a name"},
	} {
		got, err := Connection{Type: row.ctype, Schema: row.schema, Host: row.host, Port: row.port}.BaseURL()
		if row.fault == "" && (err != nil || got != row.want) {
			t.Errorf("%+v: %q, %v", row, got, err)
		}
		if row.fault == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), row.fault) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%+v: %q, error %v", row, got, err)
		}
	}
}

func TestBaseURLOfABasePathInTheSchema(t *testing.T) {
	t.Parallel()
	_, err := Connection{Host: "af", Schema: "base/path"}.BaseURL()
	if kind, _ := failure.Describe(err); kind != BadAddress || !failure.IsPermanent(err) {
		t.Errorf("%v of kind %q", err, kind)
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	list := `[{"login":"AWS","password":"p","connections":[
			{"connection_id":"a","host":"h","port":null},{"connection_id":"b","host":"g","port":5000}]},
		{"login":"me","password":"q","connections":[{"connection_id":"c","host":"f","port":"0"}]}]`
	byID := map[string]Connection{}
	if err := ParseList(list, byID); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][6]string{
		"a": {"", "", "h", "", "AWS", "p"}, "b": {"", "", "g", "5000", "AWS", "p"}, "c": {"", "", "f", "", "me", "q"},
	} {
		if got := byID[id].fields(); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	for _, text := range []string{"docker_default", "{}", `[{"login":1}]`} {
		if err := ParseList(text, byID); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}
