package openapi

import (
	"encoding/json"
	"strings"
	"testing"
)

const server = `{"paths": {"/a": {
	"get": {"parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
		"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Row"}}}}}},
	"patch": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}},
		"responses": {"200": {}}}}},
	"components": {"schemas": {
		"Row": {"type": "object", "required": ["id"], "properties": {
			"id": {"type": "string"}, "port": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}},
		"Body": {"type": "object", "required": ["id"], "additionalProperties": false, "properties": {
			"id": {"type": "string", "maxLength": 200},
			"actions": {"type": "array", "items": {"oneOf": [
				{"$ref": "#/components/schemas/Create"}, {"$ref": "#/components/schemas/Update"}]}},
			"mode": {"type": "string", "enum": ["fail", "skip"]}}},
		"Create": {"type": "object", "properties": {"action": {"type": "string", "const": "create"}}},
		"Update": {"type": "object", "properties": {"action": {"type": "string", "const": "update"}}}}}}`

func parse(t *testing.T, text string) (d Document) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The client's document is the server's; then the server changes.
func TestDifferences(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ old, new, want string }{
		"the same":     {"/a", "/a", ""},
		"a new field":  {`"id": {"type": "string"}, `, `"id": {"type": "string"}, "more": {"type": "string"}, `, ""},
		"no path":      {`"/a"`, `"/b"`, "GET /a: no such operation|PATCH /a: no such operation"},
		"no method":    {`"patch"`, `"put"`, "PATCH /a: no such operation"},
		"no parameter": {`"limit"`, `"most"`, "GET /a: no parameter limit"},
		"other parameter": {`"in": "query", "schema": {"type": "integer"}`, `"schema": {"type": "string"}`,
			"GET /a parameter limit: it may not be integer"},
		"demands parameter": {`[{"name": "limit"`, `[{"name": "x", "required": true}, {"name": "limit"`,
			"GET /a: it demands the parameter x"},
		"other status": {`"responses": {"200": {}}`, `"responses": {"204": {}}`, "PATCH /a: it never answers 200"},
		"field not given": {`"id": {"type": "string"}, "port"`, `"key": {"type": "string"}, "port"`,
			"Row: no field id"},
		"field optional": {`"required": ["id"], "properties"`, `"properties"`, "Row: the field id may be missing"},
		"now nullable": {`"id": {"type": "string"}`, `"id": {"anyOf": [{"type": "string"}, {"type": "null"}]}`,
			"Row.id: it may be null, which the client does not expect"},
		"never null":      {`{"type": "integer"}, {"type": "null"}`, `{"type": "integer"}`, ""},
		"field not taken": {`"mode"`, `"how"`, "Body: no field mode"},
		"field demanded": {`"required": ["id"], "additional`, `"required": ["id", "mode"], "additional`,
			"Body: it demands the field mode"},
		"value not taken": {`["fail", "skip"]`, `["fail"]`, "Body.mode: it may not be skip"},
		"shorter":         {`200}`, `100}`, "Body.id: maxLength is 100, the client knows 200"},
		"no such action": {`"const": "create"`, `"const": "make"`,
			"Body.actions[]: it may not be object with action create"},
		"renamed schema": {`Row`, `Line`, ""},
		"anything goes":  {`"mode": {"type": "string", "enum": ["fail", "skip"]}`, `"mode": {}`, ""},
	} {
		if !strings.Contains(server, test.old) {
			t.Fatalf("%s: nothing to change", name)
		}
		changed := parse(t, strings.ReplaceAll(server, test.old, test.new))
		if got := strings.Join(Differences(parse(t, server), changed), "|"); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	all, none := parse(t, server), parse(t, "{}")
	if got := Differences(all.Only(func(path string) bool { return path != "/a" }), none); len(got) > 0 {
		t.Errorf("got %q, want nothing", got)
	}
	if len(Differences(all, none)) != 2 {
		t.Error("Only has changed the document")
	}
}
