package xcom_test

import (
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
	failed      = `"failures":[{"connection_id":"other","registry_url":"https://r.example.com",` +
		`"step":"extract_ecr_token","error":"it answered 403: \"no\"\n"}]`
	result1 = head1 + `"recipient":"age1q","sealed":"AAAA","tokens":[{` + registryURL + `"username":"AWS",` +
		`"issued_at":"2026-11-23T17:55:03Z","expires_at":"2026-11-24T05:55:03Z","fingerprint":"3f1c0a9b27de",` +
		`"connections":["docker_default"]}],` + failed + `}`
	result2 = head2 + `"connections":[{"connection_id":"docker_default",` + registryURL + `"username":"AWS",` +
		`"expires_at":"2026-11-24T05:55:03Z","fingerprint":"3f1c0a9b27de",` + updated + `}],"failures":[]}`
	result3 = head3 + `"connections":[{"connection_id":"docker_default",` + registryURL +
		`"expires_at":"2026-11-24T05:55:03Z","matches":true,"engine":"20.10.24","login":"Login Succeeded"}],` +
		`"failures":[]}`
)

// parsed reads any of the three results.
func parsed(text string) (any, error) {
	switch {
	case strings.Contains(text, head2):
		return xcom.Parse[xcom.UpdateDockerConnection](text)
	case strings.Contains(text, head3):
		return xcom.Parse[xcom.TestDockerConnection](text)
	}
	return xcom.Parse[xcom.ExtractECRToken](text)
}

// The fields have the design's names and order.
func TestParseThenPrint(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"result 1":               result1,
		"result 2":               result2,
		"result 2, dry run":      strings.Replace(result2, updated, `"published":false`, 1),
		"result 2, failures":     head2 + `"connections":[],` + failed + `}`,
		"result 3":               result3,
		"result 3, not compared": strings.Replace(result3, `"matches":true`, `"matches":null`, 1),
	} {
		result, err := parsed(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if line, err := xcom.Print(result); err != nil || string(line) != text+"\n" {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, line, text)
		}
	}
}

// What Airflow and the Docker provider make of a result on its way.
func TestParseWhatAirflowMakesOfIt(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"tojson sorts and spaces": `{"failures": [], "connections": [{"username": "AWS", "registry_url": ` +
			`"https://r.example.com:5000", "published_at": "2026-11-23T18:55:10+01:00", "published": true, ` +
			`"fingerprint": "3f1c0a9b27de", "expires_at": "2026-11-24T05:55:03.123456789Z", "connection_id": ` +
			`"docker.default-1"}], "step": "update_docker_connection", "version": 1}`,
		"CRLF and blank lines":      "\r\n" + result2 + "\r\n\r\n  \n",
		"a log in front":            "ecr-refresh: done\n{\"level\":\"INFO\"}\n\n" + result2 + " \n",
		"unknown fields":            strings.ReplaceAll(result2, `{"`, `{"later":{"a":[1]},"`),
		"failures are absent":       strings.Replace(result2, `,"failures":[]`, ``, 1),
		"tojson's escapes":          strings.Replace(result2, `AWS`, `\u0041WS`, 1),
		"the longest connection id": strings.Replace(result2, `docker_default`, strings.Repeat("x", 200), 1),
	} {
		got, err := xcom.Parse[xcom.UpdateDockerConnection](text)
		if err != nil || len(got.Connections) != 1 || got.Connections[0].PublishedAt.IsZero() {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestParseRejects(t *testing.T) {
	t.Parallel()
	const none, not, version = xcom.NoResult, xcom.NotAResult, xcom.OtherVersion
	const notJSON = "it is not the JSON of a step's result, or is cut"
	const noID = "is not letters, digits, '_', '.' and '-'"
	const lacks = "it lacks a field, or a list in it is empty"
	const nothing = "read result: extract_ecr_token left no result"
	for _, row := range []struct {
		text, old, new, want string // the text with new for old
		kind                 failure.Kind
	}{
		{"\n\n \t\r\n", "", "", nothing, none},
		{"null", "", "", nothing, none},
		{"log line\nNone\n\n", "", "", nothing, none},
		{`""`, "", "", nothing, none},
		{result1, "", "[", notJSON, not},
		{result1[:len(result1)-1], "", "", notJSON, not},
		{result1 + "x", "", "", notJSON, not},
		{result1 + "\necr-refresh: done", "", "", notJSON, not},
		{result1, `"version":1`, `"version":"1"`, notJSON, not},
		{result1, `"step":"extract_ecr_token",`, ``, `it is the result of ""`, not},
		{result1, `"step":"extract`, `"step":"test`, `it is the result of "test_ecr_token"`, not},
		{head1 + `"tokens":{}}`, "", "", notJSON, not},
		{result1, `"AWS"`, `1`, notJSON, not},
		{result1, `2026-11-24T05:55:03Z`, `tomorrow`, notJSON, not},
		{result1, `"version":1,`, ``, "its version is 0, and this binary reads version 1", version},
		{`{"version":2,"tokens":{}}`, "", "", "its version is 2", version},
		{result1, `"tokens":[`, `"tokens":[],"x":[`, lacks, not},
		{result1, `"recipient":`, `"x":`, lacks, not},
		{result1, `"sealed":`, `"x":`, lacks, not},
		{result1, `["docker_default"]`, `[]`, lacks, not},
		{result1, `docker_default`, `docker default`, `"docker default" ` + noID, not},
		{result1, `docker_default`, ``, `"" ` + noID, not},
		{result1, `docker_default`, strings.Repeat("x", 201), noID, not},
		{result1, `docker_default`, `docker_default\n`, noID, not},
		{result1, `["docker_default"]`, `["a","b","a"]`, `connection id "a" is there twice`, not},
		{head2 + `"connections":[],"failures":[]}`, "", "", lacks, not},
		{result2, `"docker_default"`, `"a/b"`, `"a/b" ` + noID, not},
		{result2, `"registry_url":"https://`, `"registry_url":"https://","x":"`, lacks, not},
		{result2, `"username":`, `"x":`, lacks, not},
		{result2, `"expires_at":`, `"x":`, lacks, not},
		{result2, `"fingerprint":`, `"x":`, lacks, not},
		{result2, `"published_at":`, `"x":`, lacks, not},
	} {
		text := strings.Replace(row.text, row.old, row.new, 1)
		_, err := parsed(text)
		kind, facts := failure.Describe(err)
		if kind != row.kind || facts.Object == "" || !failure.IsPermanent(err) || strings.Contains(err.Error(), "\n") ||
			!strings.Contains(err.Error(), facts.Object) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s\nerror %v of kind %q, %+v; want %q", text, err, kind, facts, row.want)
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
		strings.Replace(result1, `["docker_default"]`, `["`+secret+`","`+secret+`"]`, 1),
	} {
		_, err := parsed(text)
		if err == nil || strings.Count(err.Error(), "S3CRET") > 13 {
			t.Errorf("%v", err)
		}
	}
}

// FuzzParse: nothing panics, and what is read and printed is read and printed the same.
func FuzzParse(f *testing.F) {
	f.Add(result1)
	parse := xcom.Parse[xcom.ExtractECRToken]
	f.Fuzz(func(t *testing.T, text string) {
		result, err := parse(text)
		if err != nil {
			return
		}
		first, _ := xcom.Print(result)
		result, err = parse(string(first))
		if second, _ := xcom.Print(result); err != nil || string(second) != string(first) {
			t.Errorf("%q is printed as %q, and that as %q, %v", text, first, second, err)
		}
	})
}
