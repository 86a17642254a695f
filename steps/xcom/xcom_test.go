package xcom_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/xcom"
)

// The design's own examples, with every field.
const (
	document1 = `{"version":1,"step":"extract_ecr_token","recipient":"age1q","sealed":"AAAA","tokens":[{"registry_url":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com","username":"AWS","issued_at":"2026-11-23T17:55:03Z","expires_at":"2026-11-24T05:55:03Z","fingerprint":"3f1c0a9b27de","connections":["docker_default"]}],"failures":[]}`
	document2 = `{"version":1,"step":"update_docker_connection","connections":[{"connection_id":"docker_default","registry_url":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com","username":"AWS","expires_at":"2026-11-24T05:55:03Z","fingerprint":"3f1c0a9b27de","published":true,"published_at":"2026-11-23T17:55:10Z"}],"failures":[]}`
	document3 = `{"version":1,"step":"test_docker_connection","connections":[{"connection_id":"docker_default","registry_url":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com","expires_at":"2026-11-24T05:55:03Z","matches":true,"engine":"20.10.24","login":"Login Succeeded"}],"failures":[]}`
	failed    = `"failures":[{"connection_id":"other","registry_url":"https://r.example.com","step":"extract_ecr_token","error":"it answered 403: \"no\"\n<&>"}]`
)

// parsed reads any of the three and gives it for Print.
func parsed(text string) (any, error) {
	switch {
	case strings.Contains(text, xcom.StepUpdateDockerConnection):
		return xcom.Parse[xcom.UpdateDockerConnection](text)
	case strings.Contains(text, xcom.StepTestDockerConnection):
		return xcom.Parse[xcom.TestDockerConnection](text)
	}
	return xcom.Parse[xcom.ExtractECRToken](text)
}

func TestParseThenPrint(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"document 1":               document1,
		"document 2":               document2,
		"document 2, dry run":      strings.Replace(document2, `"published":true,"published_at":"2026-11-23T17:55:10Z"`, `"published":false`, 1),
		"document 3":               document3,
		"document 3, not compared": strings.Replace(document3, `"matches":true`, `"matches":null`, 1),
		"document 3, mismatch":     strings.Replace(document3, `"matches":true`, `"matches":false`, 1),
		"failures beside":          strings.Replace(document1, `"failures":[]`, failed, 1),
		"failures alone, 2":        `{"version":1,"step":"update_docker_connection","connections":[],` + failed + `}`,
		"failures alone, 3":        `{"version":1,"step":"test_docker_connection","connections":[],` + failed + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := parsed(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := printed(t, doc); !equalJSON(t, got, text) {
				t.Errorf("got  %s\nwant %s", got, text)
			}
		})
	}
}

func printed(t testing.TB, doc any) string {
	t.Helper()
	line, err := xcom.Print(doc)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(line, []byte("\n")) != 1 || !bytes.HasSuffix(line, []byte("}\n")) {
		t.Errorf("not one line: %q", line)
	}
	return string(line)
}

func equalJSON(t testing.TB, a, b string) bool {
	t.Helper()
	compact := func(text string) string {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		line, _ := json.Marshal(value) // sorts keys
		return string(line)
	}
	return compact(a) == compact(b)
}

// Jinja and Airflow must meet lists where the contract says lists, and null where nothing was compared.
func TestPrintOfNewDocuments(t *testing.T) {
	t.Parallel()
	for want, doc := range map[string]any{
		`{"version":1,"step":"extract_ecr_token","recipient":"","sealed":"","tokens":[],"failures":[]}`: xcom.NewExtractECRToken(),
		`{"version":1,"step":"update_docker_connection","connections":[],"failures":[]}`:                xcom.NewUpdateDockerConnection(),
		`{"version":1,"step":"test_docker_connection","connections":[],"failures":[]}`:                  xcom.NewTestDockerConnection(),
	} {
		if got := printed(t, doc); got != want+"\n" {
			t.Errorf("got  %swant %s", got, want)
		}
	}
	doc := xcom.NewTestDockerConnection()
	doc.Connections = append(doc.Connections, xcom.Tested{})
	if got := printed(t, doc); !strings.Contains(got, `"matches":null`) {
		t.Errorf("got %s", got)
	}
}

// What Airflow and the Docker provider make of a document on its way.
func TestParseTakesWhatAirflowMakesOfIt(t *testing.T) {
	t.Parallel()
	sorted := strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(
		`{"failures":[],"connections":[{"username":"AWS","registry_url":"https://r.example.com","published_at":"2026-11-23T18:55:10+01:00","published":true,"fingerprint":"3f1c0a9b27de","expires_at":"2026-11-24T05:55:03.123456789Z","connection_id":"docker.default-1"}],"step":"update_docker_connection","version":1}`)
	for name, text := range map[string]string{
		"tojson sorts and spaces":   sorted,
		"a line end":                document2 + "\n",
		"CRLF and blank lines":      "\r\n" + document2 + "\r\n\r\n  \n",
		"a log in front":            "ecr-refresh: done\n{\"level\":\"INFO\"}\n" + document2,
		"a log and blank lines":     "ecr-refresh: done\n\n" + document2 + " \n\n",
		"unknown fields":            strings.Replace(document2, `{"`, `{"later":{"a":[1]},"`, -1),
		"failures are null":         strings.Replace(document2, `"failures":[]`, `"failures":null`, 1),
		"failures are absent":       strings.Replace(document2, `,"failures":[]`, ``, 1),
		"tojson's escapes":          strings.Replace(document2, `AWS`, `\u0041WS`, 1),
		"a port":                    strings.Replace(document2, `amazonaws.com`, `amazonaws.com:5000`, 1),
		"a name that is not UTF-8":  strings.Replace(document2, `AWS`, "\xff", 1),
		"the longest connection id": strings.Replace(document2, `docker_default`, strings.Repeat("x", 200), 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := xcom.Parse[xcom.UpdateDockerConnection](text)
			if err != nil || len(doc.Connections) != 1 || doc.Connections[0].PublishedAt.IsZero() {
				t.Errorf("%+v, %v", doc, err)
			}
		})
	}
}

func TestParseOfNoResult(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "\n\n \t\r\n", "null", "None", `""`, "None\n", "log line\nnull\n\n"} {
		_, err := xcom.Parse[xcom.ExtractECRToken](text)
		if !failure.IsPermanent(err) || err.Error() != "read document: extract_ecr_token left no result" || !strings.Contains(failure.Hint(err), "Downstream") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	in1 := func(old, new string) string { return strings.Replace(document1, old, new, 1) }
	in2 := func(old, new string) string { return strings.Replace(document2, old, new, 1) }
	const notJSON = "it is not a JSON object, or is cut"
	for _, row := range []struct{ name, text, want string }{
		{"log line behind", document1 + "\necr-refresh: done", notJSON},
		{"cut", document1[:len(document1)-1], notJSON},
		{"list", "[" + document1 + "]", notJSON},
		{"text", `"` + strings.ReplaceAll(document1, `"`, `\"`) + `"`, notJSON},
		{"Python's dict", strings.ReplaceAll(document1, `"`, `'`), notJSON},
		{"byte order mark", "\ufeff" + document1, notJSON},
		{"trailing text", document1 + " x", "something follows the JSON object"},
		{"trailing brace", document1 + "}", "something follows the JSON object"},
		{"two documents", document1 + document1, "something follows the JSON object"},
		{"no version", in1(`"version":1,`, ``), "its version is 0, and this binary reads version 1"},
		{"version 2", in1(`"version":1`, `"version":2`), "its version is 2"},
		{"version 2 with other types", `{"version":2,"step":"extract_ecr_token","tokens":{}}`, "its version is 2"},
		{"version is text", in1(`"version":1`, `"version":"1"`), `field "version" is not of type int`},
		{"version is huge", in1(`"version":1`, `"version":99999999999999999999999`), `field "version" is not of type int`},
		{"version is a fraction", in1(`"version":1`, `"version":1.5`), `field "version" is not of type int`},
		{"document 2", document2, `it is a document of "update_docker_connection"`},
		{"no step", in1(`"step":"extract_ecr_token",`, ``), `it is a document of ""`},
		{"tokens are an object", `{"version":1,"step":"extract_ecr_token","tokens":{}}`, `field "tokens" is not of type`},
		{"sealed is null", in1(`"sealed":"AAAA"`, `"sealed":null`), `field "sealed" is missing`},
		{"sealed is a number", in1(`"AAAA"`, `12345`), `field "sealed" is not of type string`},
		{"time", in1(`2026-11-24T05:55:03Z`, `tomorrow`), "a time in it is malformed"},
		{"time is a number", in1(`"2026-11-24T05:55:03Z"`, `1795000000`), "a time in it is malformed"},
		{"no tokens", in1(`"tokens":[`, `"tokens":[],"x":[`), `field "tokens" is empty`},
		{"no connections", in1(`["docker_default"]`, `[]`), `tokens[0].connections is empty`},
		{"connection id", in1(`docker_default`, `docker default`), `tokens[0].connections: "docker default" is not a connection id`},
		{"connection id, empty", in1(`docker_default`, ``), `"" is not a connection id`},
		{"connection id, too long", in1(`docker_default`, strings.Repeat("x", 201)), `is not a connection id`},
		{"connection id, line end", in1(`docker_default`, `docker_default\n`), `is not a connection id`},
		{"connection id, path", in1(`docker_default`, `../x`), `is not a connection id`},
		{"registry over http", in1(`https://1`, `http://1`), "is not https://HOST"},
		{"registry without scheme", in1(`https://1`, `1`), "is not https://HOST"},
		{"registry with a login", in1(`https://`, `https://u:p@`), "is not https://HOST"},
		{"registry with a path", in1(`amazonaws.com`, `amazonaws.com/v2/`), "is not https://HOST"},
		{"registry with a slash", in1(`amazonaws.com`, `amazonaws.com/`), "is not https://HOST"},
		{"registry with a query", in1(`amazonaws.com`, `amazonaws.com?a`), "is not https://HOST"},
		{"registry with a fragment", in1(`amazonaws.com`, `amazonaws.com#a`), "is not https://HOST"},
		{"registry without a host", in1(`https://123456789012.dkr.ecr.us-east-1.amazonaws.com`, `https://:5000`), "is not https://HOST"},
		{"registry with a blank", in1(`https://1`, `https:// 1`), "is not https://HOST"},
		{"fingerprint in capitals", in1(`3f1c0a9b27de`, `3F1C0A9B27DE`), "is not 12 hex digits"},
		{"fingerprint cut", in1(`3f1c0a9b27de`, `3f1c0a9b27d`), "is not 12 hex digits"},
		{"published without a time", in2(`,"published_at":"2026-11-23T17:55:10Z"`, ``), "connections[0].published_at is missing"},
		{"nothing at all", `{"version":1,"step":"update_docker_connection","connections":[],"failures":[]}`, `field "connections" is empty`},
		{"nothing at all, 3", `{"version":1,"step":"test_docker_connection"}`, `field "connections" is empty`},
		{"id in document 3", strings.Replace(document3, "docker_default", "a b", 1), "connections[0].connection_id"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			doc, err := parsed(row.text)
			if row.name == "document 2" {
				_, err = xcom.Parse[xcom.ExtractECRToken](row.text)
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("%+v, error %v, want %q", doc, err, row.want)
			}
			if !failure.IsPermanent(err) || failure.Hint(err) == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("permanent %v, hint %q: %v", failure.IsPermanent(err), failure.Hint(err), err)
			}
		})
	}
}

func TestParseNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"version":1,"step":"extract_ecr_token","tokens":[{}]}`: "recipient sealed tokens[0].registry_url tokens[0].username tokens[0].issued_at " +
			"tokens[0].expires_at tokens[0].fingerprint tokens[0].connections",
		`{"version":1,"step":"update_docker_connection","connections":[{},{"published":true}]}`: "connections[0].connection_id connections[0].registry_url " +
			"connections[0].username connections[0].expires_at connections[0].fingerprint connections[1].connection_id connections[1].published_at",
	} {
		_, err := parsed(text)
		for _, name := range strings.Fields(want) {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s is not named: %v", name, err)
			}
		}
	}
}

// A log line, or whatever stands where the document should, may hold a secret: no error repeats much of it.
func TestParseRepeatsLittle(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("S3CRET", 30)
	for _, text := range []string{
		secret, `{"` + secret + `":`, `{"version":"` + secret + `"}`, `{"version":1,"step":"` + secret + `"}`, `"` + secret + `"`,
		strings.Replace(document1, "AAAA", `","sealed":["`+secret+`"],"x":"`, 1),
		strings.Replace(document1, "2026-11-24T05:55:03Z", secret, 1),
		strings.Replace(document1, "docker_default", "a b"+secret, 1),
		strings.Replace(document1, "https://", "http://"+secret, 1),
		strings.Replace(document1, "3f1c0a9b27de", secret, 1),
	} {
		_, err := parsed(text)
		if err == nil || strings.Count(err.Error(), "S3CRET") > 13 {
			t.Errorf("%v", err)
		}
	}
}

func TestTimesKeepTheirInstant(t *testing.T) {
	t.Parallel()
	doc, err := xcom.Parse[xcom.ExtractECRToken](strings.Replace(document1, "2026-11-24T05:55:03Z", "2026-11-24T06:55:03.5+01:00", 1))
	if want := time.Date(2026, 11, 24, 5, 55, 3, 5e8, time.UTC); err != nil || !doc.Tokens[0].ExpiresAt.Equal(want) {
		t.Errorf("%v, %v", doc, err)
	}
}

// FuzzParse: nothing panics, and what is read and printed is read and printed the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{document1, document2, document3, "null", strings.Replace(document1, `"failures":[]`, failed, 1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		again(t, text, xcom.Parse[xcom.ExtractECRToken])
		again(t, text, xcom.Parse[xcom.UpdateDockerConnection])
		again(t, text, xcom.Parse[xcom.TestDockerConnection])
	})
}

func again[D any](t *testing.T, text string, parse func(string) (D, error)) {
	t.Helper()
	doc, err := parse(text)
	if err != nil {
		if !failure.IsPermanent(err) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
		return
	}
	first := printed(t, doc)
	doc, err = parse(first)
	if err != nil {
		t.Fatalf("%q is printed as %q: %v", text, first, err)
	}
	if second := printed(t, doc); first != second {
		t.Errorf("%q is printed as %q, and that as %q", text, first, second)
	}
}
