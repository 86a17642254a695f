package xcom_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/xcom"
)

// The design's own examples, with every field.
const (
	head1       = `{"version":1,"step":"extract_ecr_token",`
	head2       = `{"version":1,"step":"update_docker_connection",`
	head3       = `{"version":1,"step":"test_docker_connection",`
	registryURL = `"registry_url":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com",`
	updated     = `"published":true,"published_at":"2026-11-23T17:55:10Z"`
	result1     = head1 + `"recipient":"age1q","sealed":"AAAA","tokens":[{` + registryURL + `"username":"AWS",` +
		`"issued_at":"2026-11-23T17:55:03Z","expires_at":"2026-11-24T05:55:03Z","fingerprint":"3f1c0a9b27de",` +
		`"connections":["docker_default"]}],"failures":[]}`
	result2 = head2 + `"connections":[{"connection_id":"docker_default",` + registryURL + `"username":"AWS",` +
		`"expires_at":"2026-11-24T05:55:03Z","fingerprint":"3f1c0a9b27de",` + updated + `}],"failures":[]}`
	result3 = head3 + `"connections":[{"connection_id":"docker_default",` + registryURL +
		`"expires_at":"2026-11-24T05:55:03Z","matches":true,"engine":"20.10.24","login":"Login Succeeded"}],` +
		`"failures":[]}`
	failed = `"failures":[{"connection_id":"other","registry_url":"https://r.example.com","step":"extract_ecr_token",` +
		`"error":"it answered 403: \"no\"\n<&>"}]`
)

// parsed reads any of the three results.
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
		"result 1":               result1,
		"result 2":               result2,
		"result 2, dry run":      strings.Replace(result2, updated, `"published":false`, 1),
		"result 3":               result3,
		"result 3, not compared": strings.Replace(result3, `"matches":true`, `"matches":null`, 1),
		"result 3, mismatch":     strings.Replace(result3, `"matches":true`, `"matches":false`, 1),
		"failures beside":        strings.Replace(result1, `"failures":[]`, failed, 1),
		"failures alone, 2":      head2 + `"connections":[],` + failed + `}`,
		"failures alone, 3":      head3 + `"connections":[],` + failed + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parsed(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := printed(t, got); !equalJSON(t, got, text) {
				t.Errorf("got  %s\nwant %s", got, text)
			}
		})
	}
}

func printed(t testing.TB, got any) string {
	t.Helper()
	line, err := xcom.Print(got)
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

// What Airflow and the Docker provider make of a result on its way.
func TestParseWhatAirflowMakesOfIt(t *testing.T) {
	t.Parallel()
	sorted := strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(
		`{"failures":[],"connections":[{"username":"AWS","registry_url":"https://r.example.com",` +
			`"published_at":"2026-11-23T18:55:10+01:00","published":true,"fingerprint":"3f1c0a9b27de",` +
			`"expires_at":"2026-11-24T05:55:03.123456789Z","connection_id":"docker.default-1"}],` +
			`"step":"update_docker_connection","version":1}`)
	for name, text := range map[string]string{
		"tojson sorts and spaces":   sorted,
		"a line end":                result2 + "\n",
		"CRLF and blank lines":      "\r\n" + result2 + "\r\n\r\n  \n",
		"a log in front":            "ecr-refresh: done\n{\"level\":\"INFO\"}\n" + result2,
		"a log and blank lines":     "ecr-refresh: done\n\n" + result2 + " \n\n",
		"unknown fields":            strings.Replace(result2, `{"`, `{"later":{"a":[1]},"`, -1),
		"failures are null":         strings.Replace(result2, `"failures":[]`, `"failures":null`, 1),
		"failures are absent":       strings.Replace(result2, `,"failures":[]`, ``, 1),
		"tojson's escapes":          strings.Replace(result2, `AWS`, `\u0041WS`, 1),
		"a port":                    strings.Replace(result2, `amazonaws.com`, `amazonaws.com:5000`, 1),
		"a name that is not UTF-8":  strings.Replace(result2, `AWS`, "\xff", 1),
		"the longest connection id": strings.Replace(result2, `docker_default`, strings.Repeat("x", 200), 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := xcom.Parse[xcom.UpdateDockerConnection](text)
			if err != nil || len(got.Connections) != 1 || got.Connections[0].PublishedAt.IsZero() {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestParseRejects(t *testing.T) {
	t.Parallel()
	in1 := func(old, new string) string { return strings.Replace(result1, old, new, 1) }
	in2 := func(old, new string) string { return strings.Replace(result2, old, new, 1) }
	const none, not, version, bad = xcom.NoResult, xcom.NotAResult, xcom.OtherVersion, xcom.BadResult
	const notJSON, noHost, noID = "it is not a JSON object, or is cut", "is not https://HOST", "is not a connection id"
	const nothing, follows = "read result: extract_ecr_token left no result", "something follows the JSON object"
	const noInt = `field "version" is not of type int`
	for _, row := range []struct {
		name, text, want string
		kind             failure.Kind
	}{
		{"nothing", "", nothing, none},
		{"blanks", "\n\n \t\r\n", nothing, none},
		{"Jinja's null", "null", nothing, none},
		{"Python's None", "None\n", nothing, none},
		{"empty string", `""`, nothing, none},
		{"null behind a log", "log line\nnull\n\n", nothing, none},
		{"log line behind", result1 + "\necr-refresh: done", notJSON, not},
		{"cut", result1[:len(result1)-1], notJSON, not},
		{"list", "[" + result1 + "]", notJSON, not},
		{"text", `"` + strings.ReplaceAll(result1, `"`, `\"`) + `"`, notJSON, not},
		{"Python's dict", strings.ReplaceAll(result1, `"`, `'`), notJSON, not},
		{"byte order mark", "\ufeff" + result1, notJSON, not},
		{"trailing text", result1 + " x", follows, not},
		{"trailing brace", result1 + "}", follows, not},
		{"two results", result1 + result1, follows, not},
		{"version is text", in1(`"version":1`, `"version":"1"`), noInt, not},
		{"version is huge", in1(`"version":1`, `"version":99999999999999999999999`), noInt, not},
		{"version is a fraction", in1(`"version":1`, `"version":1.5`), noInt, not},
		{"result 2", result2, `it is the result of "update_docker_connection"`, not},
		{"no step", in1(`"step":"extract_ecr_token",`, ``), `it is the result of ""`, not},
		{"tokens are an object", head1 + `"tokens":{}}`, `field "tokens" is not of type`, not},
		{"user is a number", in1(`"AWS"`, `1`), `field "username" is not of type string`, not},
		{"sealed is a number", in1(`"AAAA"`, `12345`), `field "sealed" is not of type string`, not},
		{"time", in1(`2026-11-24T05:55:03Z`, `tomorrow`), "a time in it is malformed", not},
		{"time is a number", in1(`"2026-11-24T05:55:03Z"`, `1795000000`), "a time in it is malformed", not},
		{"no version", in1(`"version":1,`, ``), "its version is 0, and this binary reads version 1", version},
		{"version 2", in1(`"version":1`, `"version":2`), "its version is 2", version},
		{"version 2 with other types", `{"version":2,"tokens":{}}`, "its version is 2", version},
		{"sealed is null", in1(`"sealed":"AAAA"`, `"sealed":null`), `field "sealed" is missing`, bad},
		{"no tokens", in1(`"tokens":[`, `"tokens":[],"x":[`), `field "tokens" is empty`, bad},
		{"no connections", in1(`["docker_default"]`, `[]`), `tokens[0].connections is empty`, bad},
		{"connection id", in1(`docker_default`, `docker default`), `tokens[0].connections: "docker default"`, bad},
		{"connection id, empty", in1(`docker_default`, ``), `"" is not a connection id`, bad},
		{"connection id, too long", in1(`docker_default`, strings.Repeat("x", 201)), noID, bad},
		{"connection id, line end", in1(`docker_default`, `docker_default\n`), noID, bad},
		{"connection id, path", in1(`docker_default`, `../x`), noID, bad},
		{"registry over http", in1(`https://1`, `http://1`), noHost, bad},
		{"registry without scheme", in1(`https://1`, `1`), noHost, bad},
		{"registry with a login", in1(`https://`, `https://u:p@`), noHost, bad},
		{"registry with a path", in1(`amazonaws.com`, `amazonaws.com/v2/`), noHost, bad},
		{"registry with a slash", in1(`amazonaws.com`, `amazonaws.com/`), noHost, bad},
		{"registry with a query", in1(`amazonaws.com`, `amazonaws.com?a`), noHost, bad},
		{"registry with a fragment", in1(`amazonaws.com`, `amazonaws.com#a`), noHost, bad},
		{"registry without a host", in1(`123456789012.dkr.ecr.us-east-1.amazonaws.com`, `:5000`), noHost, bad},
		{"registry with a blank", in1(`https://1`, `https:// 1`), noHost, bad},
		{"fingerprint in capitals", in1(`3f1c0a9b27de`, `3F1C0A9B27DE`), "is not 12 hex digits", bad},
		{"fingerprint cut", in1(`3f1c0a9b27de`, `3f1c0a9b27d`), "is not 12 hex digits", bad},
		{"published without a time", in2(updated, `"published":true`), "connections[0].published_at is missing", bad},
		{"nothing at all", head2 + `"connections":[],"failures":[]}`, `field "connections" is empty`, bad},
		{"nothing at all, 3", `{"version":1,"step":"test_docker_connection"}`, `field "connections" is empty`, bad},
		{"id in result 3", strings.Replace(result3, "docker_default", "a b", 1), "connections[0].connection_id", bad},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := parsed(row.text)
			if row.name == "result 2" {
				_, err = xcom.Parse[xcom.ExtractECRToken](row.text)
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%+v, error %v, want %q", got, err, row.want)
			}
			kind, facts := failure.Describe(err)
			named := facts.Object != "" && strings.Contains(err.Error(), facts.Object)
			if kind != row.kind || !named || !failure.IsPermanent(err) {
				t.Errorf("kind %q of %+v: %v", kind, facts, err)
			}
		})
	}
}

func TestParseNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		head1 + `"tokens":[{}]}`: "recipient sealed tokens[0].registry_url tokens[0].username tokens[0].issued_at " +
			" tokens[0].expires_at tokens[0].fingerprint tokens[0].connections",
		head2 + `"connections":[{},{"published":true}]}`: "connections[0].connection_id connections[0].registry_url " +
			"connections[0].username connections[0].expires_at connections[0].fingerprint " +
			"connections[1].connection_id connections[1].published_at",
	} {
		_, err := parsed(text)
		for _, name := range strings.Fields(want) {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s is not named: %v", name, err)
			}
		}
	}
}

// A log line, or whatever is where the result should be, may hold a secret: no error repeats much of it.
func TestParseRepeatsLittle(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("S3CRET", 30)
	for _, text := range []string{
		secret, `{"` + secret + `":`, `"` + secret + `"`,
		`{"version":"` + secret + `"}`, `{"version":1,"step":"` + secret + `"}`,
		strings.Replace(result1, "AAAA", `","sealed":["`+secret+`"],"x":"`, 1),
		strings.Replace(result1, "2026-11-24T05:55:03Z", secret, 1),
		strings.Replace(result1, "docker_default", "a b"+secret, 1),
		strings.Replace(result1, "https://", "http://"+secret, 1),
		strings.Replace(result1, "3f1c0a9b27de", secret, 1),
	} {
		_, err := parsed(text)
		if err == nil || strings.Count(err.Error(), "S3CRET") > 13 {
			t.Errorf("%v", err)
		}
	}
}

// FuzzParse: nothing panics, and what is read and printed is read and printed the same.
func FuzzParse(f *testing.F) {
	withFailure := strings.Replace(result1, `"failures":[]`, failed, 1)
	for _, text := range []string{result1, result2, result3, "null", withFailure} {
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
	got, err := parse(text)
	if err != nil {
		if !failure.IsPermanent(err) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
		return
	}
	first := printed(t, got)
	got, err = parse(first)
	if err != nil {
		t.Fatalf("%q is printed as %q: %v", text, first, err)
	}
	if second := printed(t, got); first != second {
		t.Errorf("%q is printed as %q, and that as %q", text, first, second)
	}
}
