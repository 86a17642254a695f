// Package openapi compares two OpenAPI documents from a client's side: what stands in the client's own document must
// mean the same in the server's, or the difference is named.
package openapi

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Document is an OpenAPI document, decoded from JSON.
type Document map[string]any

// Differences names what the client's document has and the server's lacks or means otherwise: operations, parameters,
// fields, types. Only what the client may send or read is looked at; the server may offer more.
func Differences(client, server Document) []string {
	c := &comparison{client: client, server: server, seen: map[string]bool{}}
	for path, methods := range client.node("paths") {
		served := object(server.node("paths")[path])
		for method, operation := range object(methods) {
			c.operation(strings.ToUpper(method)+" "+path, object(operation), object(served[method]))
		}
	}
	slices.Sort(c.found)
	return slices.Compact(c.found)
}

// Only returns a document with those paths of d that keep picks.
func (d Document) Only(keep func(path string) bool) Document {
	paths := maps.Clone(d.node("paths"))
	maps.DeleteFunc(paths, func(path string, _ any) bool { return !keep(path) })
	only := maps.Clone(d)
	only["paths"] = paths
	return only
}

func (d Document) node(keys ...string) map[string]any {
	n := map[string]any(d)
	for _, key := range keys {
		n = object(n[key])
	}
	return n
}

// comparison is one comparison under way.
type comparison struct {
	client, server Document
	seen           map[string]bool // names of schemas that are compared already
	found          []string
}

func (c *comparison) differs(where, format string, args ...any) {
	c.found = append(c.found, where+": "+fmt.Sprintf(format, args...))
}

func (c *comparison) operation(name string, client, server map[string]any) {
	if len(server) == 0 {
		c.differs(name, "no such operation")
		return
	}
	c.parameters(name, list(client["parameters"]), list(server["parameters"]))
	if body := content(client["requestBody"]); body != nil {
		c.schema(name+" request", sent, body, content(server["requestBody"]))
	}
	for status, answer := range object(client["responses"]) {
		theirs := object(server["responses"])[status]
		if theirs == nil {
			c.differs(name, "it never answers %s", status)
			continue
		}
		if body := content(answer); len(body) > 0 {
			c.schema(name+" "+status, read, body, content(theirs))
		}
	}
}

// content returns the JSON schema of a body, or nil.
func content(body any) map[string]any {
	return object(object(object(object(body)["content"])["application/json"])["schema"])
}

// parameters looks for each of the client's, and for one that the server demands and the client does not know.
func (c *comparison) parameters(name string, client, server []any) {
	theirs := byName(server)
	for parameter, ours := range byName(client) {
		if theirs[parameter] == nil {
			c.differs(name, "no parameter %s", parameter)
			continue
		}
		c.schema(name+" parameter "+parameter, sent, object(ours["schema"]), object(theirs[parameter]["schema"]))
	}
	for parameter, p := range theirs {
		if p["required"] == true && byName(client)[parameter] == nil {
			c.differs(name, "it demands the parameter %s", parameter)
		}
	}
}

func byName(parameters []any) map[string]map[string]any {
	all := map[string]map[string]any{}
	for _, p := range parameters {
		if name, ok := object(p)["name"].(string); ok {
			all[name] = object(p)
		}
	}
	return all
}

// direction is the way of a value: what is sent must be taken, what is read must be understood.
type direction bool

const (
	sent direction = true
	read direction = false
)

// schema compares two schemas. Each alternative (anyOf, oneOf) of the side that speaks must be one that the other
// knows.
func (c *comparison) schema(where string, d direction, client, server map[string]any) {
	name, _ := client["$ref"].(string)
	if name != "" {
		where = strings.TrimPrefix(name, "#/components/schemas/")
		if c.seen[fmt.Sprint(name, d)] {
			return
		}
		c.seen[fmt.Sprint(name, d)] = true
	}
	ours, theirs := c.client.alternatives(client), c.server.alternatives(server)
	if len(theirs) == 0 { // no schema: anything
		return
	}
	c.kinds(where, d, ours, theirs)
	for kind, a := range ours {
		if b, ok := theirs[kind]; ok {
			c.same(where, d, kind, a, b)
		}
	}
}

func (c *comparison) kinds(where string, d direction, ours, theirs map[string]map[string]any) {
	speaks, knows, words := theirs, ours, "it may be %s, which the client does not expect"
	if d == sent {
		speaks, knows, words = ours, theirs, "it may not be %s"
	}
	for kind := range speaks {
		if _, ok := knows[kind]; !ok && len(knows) > 0 {
			c.differs(where, words, kind)
		}
	}
}

// same compares two schemas of the same type.
func (c *comparison) same(where string, d direction, kind string, client, server map[string]any) {
	for _, rule := range []string{"pattern", "maxLength", "format"} {
		if d == sent && server[rule] != nil && !reflect.DeepEqual(client[rule], server[rule]) {
			c.differs(where, "%s is %v, the client knows %v", rule, server[rule], client[rule])
		}
	}
	switch {
	case kind == "array":
		c.schema(where+"[]", d, object(client["items"]), object(server["items"]))
	case strings.HasPrefix(kind, "object"):
		c.fields(where, d, client, server)
	case d == sent:
		c.values(where, client, server)
	}
}

// values looks at the values of an enumeration that the client may send.
func (c *comparison) values(where string, client, server map[string]any) {
	theirs := enumeration(server)
	for _, value := range enumeration(client) {
		if len(theirs) > 0 && !slices.Contains(theirs, value) {
			c.differs(where, "it may not be %v", value)
		}
	}
}

func enumeration(schema map[string]any) []any {
	if value := schema["const"]; value != nil {
		return []any{value}
	}
	return list(schema["enum"])
}

func (c *comparison) fields(where string, d direction, client, server map[string]any) {
	ours, theirs := object(client["properties"]), object(server["properties"])
	for field, schema := range ours {
		switch {
		case theirs[field] != nil:
			c.schema(where+"."+field, d, object(schema), object(theirs[field]))
		case d == read || server["additionalProperties"] == false || server["additionalProperties"] == nil:
			c.differs(where, "no field %s", field)
		}
	}
	c.required(where, d, list(client["required"]), list(server["required"]))
}

// required: a field that the server demands must be one that the client always sends, and the other way round.
func (c *comparison) required(where string, d direction, client, server []any) {
	demands, offers, words := client, server, "the field %v may be missing"
	if d == sent {
		demands, offers, words = server, client, "it demands the field %v"
	}
	for _, field := range demands {
		if !slices.Contains(offers, field) {
			c.differs(where, words, field)
		}
	}
}

// alternatives returns what a value of a schema may be, by type. Objects that differ by a constant field (the actions
// of a bulk request) are types of their own.
func (d Document) alternatives(schema map[string]any) map[string]map[string]any {
	schema = d.resolve(schema)
	all := map[string]map[string]any{}
	for _, branch := range append(list(schema["anyOf"]), list(schema["oneOf"])...) {
		maps.Copy(all, d.alternatives(object(branch)))
	}
	if kind, ok := schema["type"].(string); ok {
		all[kind+tag(schema)] = schema
	}
	return all
}

// tag distinguishes objects by their constant fields.
func tag(schema map[string]any) string {
	text := ""
	properties := object(schema["properties"])
	for _, field := range slices.Sorted(maps.Keys(properties)) {
		if value := object(properties[field])["const"]; value != nil {
			text += fmt.Sprintf(" with %s %v", field, value)
		}
	}
	return text
}

func (d Document) resolve(schema map[string]any) map[string]any {
	name, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	return d.node(strings.Split(strings.TrimPrefix(name, "#/"), "/")...)
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}
