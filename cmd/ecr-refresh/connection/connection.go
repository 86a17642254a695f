// Package connection reads Airflow connections as Airflow does: a URI, JSON, or the DAG's list of logins.
package connection

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/secret"
)

// Connection is an Airflow connection as tasks see it.
type Connection struct {
	Type, Schema, Host, Port, Login string
	Password                        secret.Secret
	KeepLogin                       bool   // reauth of a Docker connection's extra is off
	GrantType                       string // of the extra
}

// ParseList reads JSON lists of logins, each with the connections that have it, and returns these by id. An older DAG
// names no types.
func ParseList(text string) (map[string]Connection, error) {
	byID := map[string]Connection{}
	for in := json.NewDecoder(strings.NewReader(text)); in.More(); {
		var logins []struct {
			Login, Password any
			Connections     []map[string]any
		}
		err := in.Decode(&logins)
		for _, l := range logins {
			for _, c := range l.Connections {
				id, _ := c["connection_id"].(string)
				fields := map[string]any{"conn_type": c["conn_type"], "host": c["host"], "port": c["port"],
					"login": l.Login, "password": l.Password, "extra": c} // which has reauth, as a connection's extra
				read, wrong := ofFields(fields)
				byID[id], err = read, cmp.Or(err, wrong)
			}
		}
		if err != nil {
			return nil, errors.New("it is not a JSON list of logins with their connections")
		}
	}
	return byID, nil
}

// The errors of Parse, beside that of ofFields. None repeats a value: it may be a password, and a raw "/" in that
// password makes a port of its first half.
var (
	errJSON = errors.New("it is not the JSON of a connection: check its quotes, commas and braces")
	errURI  = errors.New("it is neither JSON nor a URI: percent-encode / @ : # ? [ ] % in a password (%2F for /)")
	errPort = errors.New("its port is not from 1 to 65535: percent-encode / @ : # ? [ ] % in a password (%2F for /)")
)

// Parse reads a connection in JSON or as a URI (Airflow: airflow/sdk/definitions/connection.py, from_json and
// from_uri). It rejects what Airflow rejects, and returns nothing of that.
func Parse(text string) (Connection, error) {
	text = strings.TrimSpace(text)
	parse := parseURI
	if strings.HasPrefix(text, "{") {
		parse = parseJSON
	}
	c, err := parse(text)
	port, wrong := strconv.ParseUint(cmp.Or(c.Port, "1"), 10, 16)
	if err == nil && (wrong != nil || port == 0) {
		return Connection{}, errPort
	}
	return c, err
}

func parseJSON(text string) (Connection, error) {
	var fields map[string]any // a struct would take keys in any case
	if json.Unmarshal([]byte(text), &fields) != nil {
		return Connection{}, errJSON
	}
	for _, key := range []string{"conn_type", "port", "extra", "uri"} {
		if value := fields[key]; value == nil || key != "uri" && !docker.IsTrue(value) {
			delete(fields, key)
		}
	}
	if uri, ok := fields["uri"].(string); ok && len(fields) == 1 {
		return parseURI(uri)
	}
	return ofFields(fields)
}

// ofFields returns the connection of JSON's fields. A whole number that float64 holds is read as its text. The error
// names the key at fault, as far as that is a word.
func ofFields(fields map[string]any) (c Connection, err error) {
	var password string
	texts := map[string]*string{
		"conn_type": &c.Type, "schema": &c.Schema, "host": &c.Host, "port": &c.Port, "login": &c.Login,
		"password": &password, "description": new(string),
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		text, ok := textOf(fields[key])
		switch to := texts[key]; {
		case key == "extra":
			c.KeepLogin, c.GrantType = keepsLogin(fields[key]), GrantType(fields[key])
		case to == nil:
			const form = "its key %q is none of conn_type, host, port, login, password, schema, description, extra, " +
				"or uri alone"
			return Connection{}, fmt.Errorf(form, regexp.MustCompile(`^[A-Za-z_]{0,20}`).FindString(key))
		case !ok:
			return Connection{}, fmt.Errorf("its %q is neither text nor a whole number", key)
		default:
			*to = text
		}
	}
	c.Type, c.Password = strings.ReplaceAll(c.Type, "-", "_"), secret.New(password)
	c.Port = strings.TrimLeft(strings.TrimSpace(c.Port), "0") // 0 is none, as for Airflow's hooks
	return c, nil
}

// textOf returns a text, or a number as text.
func textOf(value any) (text string, ok bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), v == math.Trunc(v) && math.Abs(v) < 1<<53
	}
	return "", false
}

// field returns a field of an extra, which is an object or the text of one.
func field(extra any, name string) (value any, found bool) {
	if text, ok := extra.(string); ok {
		extra = nil
		_ = json.Unmarshal([]byte(text), &extra) // Airflow takes what is not JSON for nothing
	}
	fields, _ := extra.(map[string]any)
	value, found = fields[name]
	return value, found
}

// GrantType returns grant_type of an extra, which says how Keycloak's auth manager is to check the login.
func GrantType(extra any) string {
	if value, _ := field(extra, "grant_type"); value != nil {
		return fmt.Sprint(value)
	}
	return ""
}

// keepsLogin reports whether an extra turns reauth off, as DockerHook reads it
// (airflow/providers/docker/hooks/docker.py).
func keepsLogin(extra any) bool {
	reauth, found := field(extra, "reauth")
	if text, ok := reauth.(string); ok {
		return slices.Contains([]string{"n", "no", "f", "false", "off", "0"}, strings.ToLower(text))
	}
	return found && !docker.IsTrue(reauth)
}

// uri splits type://login:password@host:port/schema, or type://proto://… for a host with a scheme, as Python's urlsplit
// does: net/url rejects a bare % or { in a password and a %2F in a host, which Airflow accepts. A raw "@" behind the
// host is rejected, which Airflow accepts: what stands before it is the rest of a password with a raw "/", "?" or "#".
var uri = regexp.MustCompile(`(?s)^(` + scheme + `)://(?:(` + scheme + `)://)?` +
	`(?:([^:/?#\[\]]*)(?::([^/?#\[\]]*))?@)?` + // login, password
	`(?:\[([^/?#\[\]]+)\]|([^:/?#\[\]@]*))(?::([^/?#]*))?` + // IPv6 or another host, port
	`(?:/([^?#@]*))?(?:\?((?:email=[^#&@]*@|[^#@])*))?(?:#[^@]*)?$`) // schema, extra

const scheme = `[A-Za-z][A-Za-z0-9+.-]*`

func parseURI(text string) (Connection, error) {
	text = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(text)
	part := uri.FindStringSubmatch(text)
	if part == nil || part[1] == part[2] || part[5] != "" && net.ParseIP(part[5]) == nil {
		return Connection{}, errURI
	}
	host, schemes := part[5]+unquote(part[6]), 1
	if !strings.Contains(host, "/") {
		host = strings.ToLower(host)
	}
	if part[2] != "" {
		schemes = 2
		if host != "" {
			host = strings.ToLower(part[2]) + "://" + host
		}
	}
	if strings.Count(text, "://") != schemes {
		return Connection{}, errURI
	}
	query, _ := url.ParseQuery(part[9])
	fields := map[string]any{}
	for key, values := range query {
		fields[key] = values[len(values)-1]
	}
	extra, whole := fields["__extra__"]
	if !whole {
		extra = fields
	}
	return ofFields(map[string]any{
		"conn_type": strings.ToLower(part[1]), "schema": unquote(part[8]), "host": host, "port": part[7],
		"login": unquote(part[3]), "password": unquote(part[4]), "extra": extra,
	})
}

var escaped = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// unquote decodes %2F as Python does: what is not such a code stays as it is.
func unquote(text string) string {
	return escaped.ReplaceAllStringFunc(text, func(code string) string {
		char, _ := hex.DecodeString(code[1:])
		return string(char)
	})
}

// BaseURL joins the fields of an http connection as Airflow's HttpHook does: a host with "://" is the URL itself, and
// the place for a base path; else the scheme is the connection's schema, or its type, or http. The port goes to the
// host, where HttpHook would put it behind the path. Of bad fields it makes no good URL.
func (c Connection) BaseURL() string {
	base := c.Host
	if net.ParseIP(base) != nil && strings.Contains(base, ":") {
		base = "[" + base + "]"
	}
	if !strings.Contains(base, "://") {
		base = cmp.Or(strings.ToLower(c.Schema), map[string]string{"https": "https"}[c.Type], "http") + "://" + base
	}
	u, err := url.Parse(base)
	if err != nil || c.Port == "" || c.Port == u.Port() {
		return base
	}
	u.Host += ":" + c.Port
	return u.String()
}
