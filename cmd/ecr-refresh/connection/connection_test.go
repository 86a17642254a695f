package connection

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/airflowclient"
)

// Every text is read as a real Airflow reads it: TestRealConnections compares testdata/connections.json with one. Some
// texts are rejected on purpose, where Airflow makes another connection of them than was meant: those of differs, what
// is not a URI at all, and a raw "@" behind the host. Port 0 is none.
func TestParseReadsWhatAirflowReads(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/connections.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			Name, Text, Schema, Host, Port, Login, Password, Reauth, Error string
			ConnType                                                       string `json:"conn_type"`
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Rows) < 100 {
		t.Fatalf("%d rows: %v", len(golden.Rows), err)
	}
	differs := []string{"JSON, port is true", "JSON, port with a sign", "JSON, raw at, then slash in a URI's password"}
	rawAt := regexp.MustCompile(`^[^/?#]*[/?#].*@`)
	for _, row := range golden.Rows {
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			isURI := !strings.HasPrefix(strings.TrimSpace(row.Text), "{")
			behind := row.Text[strings.LastIndex("://"+row.Text, "://"):]
			rejected := row.Error != "" || isURI && (row.ConnType == "" || !strings.Contains(row.Text, "://")) ||
				isURI && rawAt.MatchString(behind) && row.Name != "extra, email" || slices.Contains(differs, row.Name)
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
			want := [...]string{row.ConnType, row.Schema, row.Host, row.Port, row.Login, row.Password}
			is := [...]string{got.Type, got.Schema, got.Host, got.Port, got.Login, got.Password.Reveal()}
			if is != want || got.KeepLogin != (row.Reauth == "off") {
				t.Errorf("%s:\n got %q, %v\nwant %q, reauth %s", row.Text, is, got.KeepLogin, want, row.Reauth)
			}
		})
	}
}

// checkNothingRepeated holds for every error of Parse: its text does not depend on a value.
func checkNothingRepeated(t *testing.T, err error) {
	t.Helper()
	named := regexp.MustCompile(`^its key "[A-Za-z_]{0,20}" is none of |^its "[a-z_]+" is neither text`)
	if err != errJSON && err != errURI && err != errPort && !named.MatchString(err.Error()) {
		t.Errorf("error %v is none of Parse's own: it may repeat a password", err)
	}
}

func TestParseNamesTheFault(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"conn_type":"http","Host":"h"}`:            `its key "Host" is none of conn_type, host, `,
		`{"hots":"h"}`:                               `its key "hots" is none of conn_type, host, `,
		`{"uri":"http://u:p@h","host":"h"}`:          `its key "uri" is none of conn_type, host, `,
		`{"s3cret/s3cret":"h"}`:                      `its key "s" is none of conn_type, host, `,
		`{"host":"h","password":["p"]}`:              `its "password" is neither text nor a whole number`,
		`{"password":1234567890123456789}`:           `its "password" is neither text nor a whole number`,
		`{"login":1.5}`:                              `its "login" is neither text nor a whole number`,
		`{"port":{"a":1}}`:                           `its "port" is neither text nor a whole number`,
		`{"conn_type":"http","host":"h","port":"x"}`: errPort.Error(),
		`{"host":"h"`:                                errJSON.Error(),
		`{"uri":"u:p@h"}`:                            errURI.Error(),
	} {
		if _, err := Parse(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// grant_type is found in each form of an extra, and is empty in what is none.
func TestGrantType(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://c:s@h?grant_type=client_credentials&a=b":                           "client_credentials",
		"http://c:s@h?__extra__=%7B%22grant_type%22%3A%22client_credentials%22%7D": "client_credentials",
		`{"conn_type":"http","extra":{"grant_type":"client_credentials"}}`:         "client_credentials",
		`{"conn_type":"http","extra":"{\"grant_type\":\"client_credentials\"}"}`:   "client_credentials",
		`{"conn_type":"http","extra":{"grant_type":["a"]}}`:                        "[a]",
		`{"conn_type":"http","extra":{"grant_type":null}}`:                         "",
		`{"conn_type":"http","extra":{"GRANT_TYPE":"x"}}`:                          "",
		`{"conn_type":"http","extra":"grant_type"}`:                                "",
		"http://c:s@h": "",
	} {
		if c, err := Parse(text); err != nil || c.GrantType != want {
			t.Errorf("%s: %q, %v, want %q", text, c.GrantType, err, want)
		}
	}
}

func TestParseRejectsPorts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"conn_type":"http","host":"h","port":70000}`, `{"host":"h","port":"8080x"}`, `{"host":"h","port":[1]}`,
		"http://u:p@h:70000", "docker://AWS:ab/cd@h", "http://u:p@[::1]8080", "http://u:p@[h]:80",
	} {
		_, err := Parse(text)
		checkNothingRepeated(t, err)
	}
}

// A raw character in a password makes no piece of it another field, which errors name: it is part of the password, or
// an error.
func TestNoPieceOfAPasswordIsAnotherField(t *testing.T) {
	t.Parallel()
	raw := []string{"", "/", "@", ":", "#", "?", "%", "[", "://", "\\", "&", "="}
	for _, form := range []string{
		"http://user:%s@h:8080/https", "docker://AWS:%s@h", "http://https://user:%s@h/x", "http://user:%s@h?reauth=no",
		"http://user:%s@[::1]:80", "http://:%s@h", "user:%s@h", "http:user:%s@h", `{"uri":"http://user:%s@h"}`,
	} {
		for _, start := range []string{"S3CRET", "8080"} {
			for _, one := range raw {
				for _, two := range raw {
					text := fmt.Sprintf(form, start+one+"S3CRET"+two+"S3CRET")
					c, err := Parse(text)
					shown := fmt.Sprint(c.Type, c.Schema, c.Host, c.Port, c.Login, c.BaseURL(), err)
					if strings.Contains(strings.ToUpper(shown), "S3CRET") {
						t.Errorf("%s: %s", text, shown)
					}
				}
			}
		}
	}
}

// FuzzParse: nothing panics, no error repeats the text, and what is read is good.
func FuzzParse(f *testing.F) {
	f.Add("http://https://u:p%2F@[::1]:8080/https?a=b#c")
	f.Add(`{"conn_type":"http","host":"h","login":"u","password":"p","port":"8080","extra":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			checkNothingRepeated(t, err)
			return
		}
		if base := c.BaseURL(); !strings.Contains(base, "://") {
			t.Errorf("%q: base URL %q", text, base)
		}
	})
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for c, want := range map[Connection]string{
		{Host: "af"}: "http://af",
		{Host: "af", Type: "generic", Port: "8080"}: "http://af:8080",
		{Host: "af", Type: "https"}:                 "https://af",
		{Host: "af", Type: "https", Schema: "http"}: "http://af",
		{Host: "af", Schema: "HTTPS", Port: "443"}:  "https://af:443",
		{Host: "af:8080", Port: "8080"}:             "http://af:8080",
		{Host: "::1"}:                               "http://[::1]",
		{Host: "::1", Port: "8080"}:                 "http://[::1]:8080",
		{Host: "[::1]", Port: "8080"}:               "http://[::1]:8080",
		{Host: "af/base", Port: "8080"}:             "http://af:8080/base",
		{Host: "https://af/base", Schema: "http"}:   "https://af/base",
		{Host: "https://af/base", Port: "8443"}:     "https://af:8443/base",
		{Host: "https://af:8443/b", Port: "8443"}:   "https://af:8443/b",
		{Host: "https://[::1]/base", Port: "8443"}:  "https://[::1]:8443/base",
		{Host: "af/api/v3"}:                         "http://af/api/v3",
	} {
		if got := good(c.BaseURL()); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
	for _, c := range []Connection{
		{Host: "af", Schema: "http://me:S3/CRET@af"}, {Host: "af", Schema: "base/path"}, {Host: "af", Port: "http"},
		{Host: "af:8080", Port: "9090"}, {Host: "https://af:8443/b", Port: "443"}, {Host: "af", Port: "65536"},
		{Host: "https://af/api/v2"}, {Host: "af/b/api/v1/", Port: "8080"}, {Host: "https://"}, {Port: "8080"},
		{Host: "https://user:S3CRET@af"}, {Host: "user:S3CRET@af"}, {Host: "https://S3CRET bad"},
	} {
		if got := good(c.BaseURL()); got != "" {
			t.Errorf("%+v: %s is good", c, got)
		}
	}
}

// good returns a base URL as Airflow's client takes it, or "".
func good(base string) string {
	client, err := airflowclient.New(airflowclient.Config{BaseURL: base})
	if err != nil {
		return ""
	}
	return client.BaseURL()
}

func TestParseList(t *testing.T) {
	t.Parallel()
	byID, err := ParseList(`[{"login":"AWS","password":"p","connections":[
			{"connection_id":"a","conn_type":"docker","host":"h","port":null},
			{"connection_id":"b","conn_type":"docker","host":"g","port":5000}]}]
		[{"login":"me","password":"q","connections":[{"connection_id":"c","host":"f","port":"0"}]}]`) // of an older DAG
	found := ""
	for _, id := range []string{"a", "b", "c"} {
		c := byID[id]
		found += fmt.Sprintf("%s %s@%s:%s %s\n", c.Type, c.Login, c.Host, c.Port, c.Password.Reveal())
	}
	if want := "docker AWS@h: p\ndocker AWS@g:5000 p\n me@f: q\n"; err != nil || found != want {
		t.Errorf("%s, %v, want %s", found, err, want)
	}
	for _, text := range []string{"docker_default", "{}", `[{"login":[1],"connections":[{}]}]`} {
		if _, err := ParseList(text); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}
