package sandbox

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// redactedValue is what Airflow shows instead of a secret, and takes as "keep what is stored".
const redactedValue = "***"

// fields returns the connection as the API spells it, in clear.
func (c Connection) fields() map[string]any {
	fields := map[string]any{"connection_id": c.ID, "conn_type": c.Type, "port": nil, "team_name": nil}
	for name, value := range map[string]string{"description": c.Description, "host": c.Host, "login": c.Login,
		"password": c.Password, "schema": c.Schema, "extra": c.Extra} {
		fields[name] = nil
		if value != "" {
			fields[name] = value
		}
	}
	if c.Port != 0 {
		fields["port"] = c.Port
	}
	return fields
}

// redacted returns the connection as Airflow shows it: no password, and an extra without secrets.
func (c Connection) redacted() map[string]any {
	fields := c.fields()
	if c.Password != "" {
		fields["password"] = redactedValue
	}
	var extra any
	if c.Extra != "" && json.Unmarshal([]byte(c.Extra), &extra) == nil {
		out, _ := json.Marshal(c.redact("", extra)) // was just decoded
		fields["extra"] = string(out)
	}
	return fields
}

// redact hides values by the name of their key, and the password wherever it stands.
func (c Connection) redact(key string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		for k, v := range value {
			value[k] = c.redact(hiding(key, k), v)
		}
		return value
	case []any:
		for i, v := range value {
			value[i] = c.redact(key, v)
		}
		return value
	case string:
		if len(c.Password) >= 5 && !sensitive(key) { // Airflow masks nothing shorter
			return strings.ReplaceAll(value, c.Password, redactedValue)
		}
	}
	if sensitive(key) && value != nil {
		return redactedValue
	}
	return value
}

// hiding returns the key that decides over a value: everything below a sensitive key is hidden.
func hiding(outer, inner string) string {
	if sensitive(outer) {
		return outer
	}
	return inner
}

// sensitive reports whether Airflow hides the value of a key of this name.
func sensitive(key string) bool {
	key = regexp.MustCompile(`\W+`).ReplaceAllString(strings.ToLower(key), "_")
	return slices.ContainsFunc([]string{
		"access_key", "access_token", "api_key", "apikey", "auth_header", "authorization", "bearer",
		"connection_string", "dsn", "passphrase", "passwd", "password", "private_key", "proxy", "proxies", "secret",
		"service_account", "service_key", "token", "keyfile_dict", "webhook_url",
	}, func(name string) bool { return strings.Contains(key, name) })
}

// entity is one connection in a bulk update: only the fields that were sent.
type entity map[string]any

func (e entity) id() string { return e["connection_id"].(string) }

// updated returns c with the fields that were sent. A null wipes a field, but not the password: Airflow takes null and
// "" as nothing to do, and reports success.
func (c Connection) updated(e entity) Connection {
	for name, field := range map[string]*string{"conn_type": &c.Type, "description": &c.Description, "host": &c.Host,
		"login": &c.Login, "schema": &c.Schema, "extra": &c.Extra} {
		if value, sent := e[name]; sent {
			*field, _ = value.(string)
		}
	}
	if value, sent := e["port"]; sent {
		c.Port, _ = intOf(value)
	}
	if password, _ := e["password"].(string); password != "" && password != redactedValue {
		c.Password = password
	}
	return c
}

func intOf(value any) (n int, ok bool) {
	switch value := value.(type) {
	case json.Number:
		n, err := strconv.Atoi(value.String())
		return n, err == nil
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(value))
		return n, err == nil
	}
	return 0, false
}

// invalid is one problem that Airflow found in a request. It repeats the input, secrets included.
type invalid struct {
	Type  string         `json:"type"`
	Loc   []any          `json:"loc"`
	Msg   string         `json:"msg"`
	Input any            `json:"input"`
	Ctx   map[string]any `json:"ctx,omitempty"`
}

func notAnObject(input any, loc ...any) []invalid {
	return []invalid{{"model_attributes_type", loc,
		"Input should be a valid dictionary or object to extract fields from", input, nil}}
}

// validateBulk returns the entities of each action, or the problems in Airflow's words. An action that the stand-in
// does not know is not known: it plays updates alone.
func validateBulk(body any) (actions [][]entity, problems []invalid, known bool) {
	top, ok := body.(map[string]any)
	if !ok {
		return nil, notAnObject(body, "body"), true
	}
	list, problems := listField(top, "actions", "body")
	for i, item := range list {
		action, _ := item.(map[string]any)
		if action["action"] != "update" {
			return nil, nil, false
		}
		entities, more := validateUpdate(action, "body", "actions", i, "update")
		actions, problems = append(actions, entities), append(problems, more...)
	}
	return actions, append(problems, forbidExtra(top, []string{"actions"}, "body")...), true
}

func validateUpdate(action map[string]any, loc ...any) (entities []entity, problems []invalid) {
	list, problems := listField(action, "entities", loc...)
	for i, item := range list {
		at := slices.Concat(loc, []any{"entities", i})
		fields, ok := item.(map[string]any)
		if !ok {
			problems = append(problems, notAnObject(item, at...)...)
			continue
		}
		entities, problems = append(entities, fields), append(problems, validateEntity(fields, at)...)
	}
	if mask, sent := action["update_mask"]; sent && mask != nil { // accepted, and ignored
		_, more := listField(action, "update_mask", loc...)
		problems = append(problems, more...)
	}
	if policy, sent := action["action_on_non_existence"]; sent && policy != "fail" && policy != "skip" {
		problems = append(problems, invalid{"enum", slices.Concat(loc, []any{"action_on_non_existence"}),
			"Input should be 'fail' or 'skip'", policy, map[string]any{"expected": "'fail' or 'skip'"}})
	}
	return entities, append(problems, forbidExtra(action,
		[]string{"action", "entities", "update_mask", "action_on_non_existence"}, loc...)...)
}

// skips reports whether action i of a valid body skips what is missing.
func skips(body any, i int) bool {
	action := body.(map[string]any)["actions"].([]any)[i].(map[string]any)
	return action["action_on_non_existence"] == "skip"
}

func listField(object map[string]any, name string, loc ...any) ([]any, []invalid) {
	value, found := object[name]
	at := slices.Concat(loc, []any{name})
	if !found {
		return nil, []invalid{{"missing", at, "Field required", object, nil}}
	}
	list, ok := value.([]any)
	if !ok {
		return nil, []invalid{{"list_type", at, "Input should be a valid list", value, nil}}
	}
	return list, nil
}

func forbidExtra(object map[string]any, allowed []string, loc ...any) (problems []invalid) {
	for name, value := range object {
		if !slices.Contains(allowed, name) {
			problems = append(problems, invalid{"extra_forbidden", slices.Concat(loc, []any{name}),
				"Extra inputs are not permitted", value, nil})
		}
	}
	return problems
}

func validateEntity(fields map[string]any, loc []any) (problems []invalid) {
	nullable := []string{"description", "host", "login", "schema", "password", "extra", "team_name"}
	for _, name := range append([]string{"connection_id", "conn_type"}, nullable...) {
		value, sent := fields[name]
		optional := slices.Contains(nullable, name)
		at := slices.Concat(loc, []any{name})
		text, isText := value.(string)
		switch {
		case !sent && !optional:
			problems = append(problems, invalid{"missing", at, "Field required", fields, nil})
		case sent && !isText && (value != nil || !optional):
			problems = append(problems, invalid{"string_type", at, "Input should be a valid string", value, nil})
		case isText:
			problems = append(problems, validateText(name, text, at)...)
		}
	}
	if port, sent := fields["port"]; sent && port != nil {
		if _, ok := intOf(port); !ok {
			problems = append(problems, invalid{"int_parsing", slices.Concat(loc, []any{"port"}),
				"Input should be a valid integer, unable to parse string as an integer", port, nil})
		}
	}
	return append(problems, forbidExtra(fields, append(nullable, "connection_id", "conn_type", "port"), loc...)...)
}

func validateText(name, text string, at []any) []invalid {
	const pattern = `^[\w.-]+$`
	var object map[string]any
	switch {
	case name == "connection_id" && len(text) > 200:
		return []invalid{{"string_too_long", at, "String should have at most 200 characters", text,
			map[string]any{"max_length": 200}}}
	case name == "connection_id" && !regexp.MustCompile(pattern).MatchString(text):
		return []invalid{{"string_pattern_mismatch", at, "String should match pattern '" + pattern + "'", text,
			map[string]any{"pattern": pattern}}}
	case name == "extra" && text != "" && json.Unmarshal([]byte(text), &object) != nil:
		return []invalid{{"value_error", at,
			"Value error, The `extra` field must be a valid JSON object (e.g., {'key': 'value'}), " +
				"but encountered non-JSON in `extra` field", text, map[string]any{"error": map[string]any{}}}}
	case name == "team_name":
		return []invalid{{"value_error", at[:len(at)-1],
			"Value error, team_name cannot be set when multi_team mode is disabled. " +
				"Please contact your administrator.", text, map[string]any{"error": map[string]any{}}}}
	}
	return nil
}
