// Package connection reads Airflow connections from the environment: field by field, as the DAG renders them, as a
// list of logins, or as Airflow's own AIRFLOW_CONN_….
package connection

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"

	"ecr-refresh/cmd/ecr-refresh/environment"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// Kinds of failure.
const (
	Malformed  failure.Kind = "malformed AIRFLOW_CONN" // Facts.Object is the variable
	BadAddress failure.Kind = "address of an http connection"
)

// Connection is an Airflow connection as tasks see it.
type Connection struct {
	Type, Schema, Host, Port, Login string
	Password                        secret.Secret
}

// Env returns the name of the variable in which Airflow looks for a connection before its database.
func Env(id string) string { return "AIRFLOW_CONN_" + strings.ToUpper(id) }

// FromFields reads a connection whose fields are variables that start with prefix. found reports whether any is set.
func FromFields(prefix string) (c Connection, found bool) {
	field := func(name string) string {
		v := environment.Value(prefix + name)
		found = found || v != ""
		return v
	}
	c = Connection{
		Type: field("CONN_TYPE"), Schema: field("SCHEMA"), Host: field("HOST"), Port: field("PORT"),
		Login: field("LOGIN"), Password: environment.Secret(prefix + "PASSWORD"),
	}
	return c, found || !c.Password.Empty()
}

// FromEnv reads AIRFLOW_CONN_<ID> as Airflow does, or the same with "_" for "-", which cannot be part of a shell
// variable's name. found reports whether it is set. Nothing of one that is malformed is returned: the text before a raw
// "/" in a password looks like a port.
func FromEnv(id string) (c Connection, found bool, err error) {
	name := Env(id)
	text := environment.Value(name)
	if text == "" {
		name = strings.ReplaceAll(name, "-", "_")
		text = environment.Value(name)
	}
	if text == "" {
		return Connection{}, false, nil
	}
	if c, err = Parse(text); err != nil {
		return Connection{}, true, failure.Permanent(Malformed, "read %s: %w", name, err).About(name)
	}
	return c, true, nil
}

// ParseList adds the connections of a JSON list of logins, each with the connections that have it, by id.
func ParseList(text string, byID map[string]Connection) error {
	var logins []struct {
		Login, Password string
		Connections     []struct {
			ID   string `json:"connection_id"`
			Host string
			Port any
		}
	}
	if json.Unmarshal([]byte(text), &logins) != nil {
		return errors.New("it is not a JSON list of logins with their connections")
	}
	for _, l := range logins {
		password := secret.New(l.Password)
		for _, c := range l.Connections {
			byID[c.ID] = Connection{Host: c.Host, Port: jsonPort(c.Port), Login: l.Login, Password: password}
		}
	}
	return nil
}

// jsonPort reads a port as Airflow writes it: a number, a string or null.
func jsonPort(port any) string {
	if text := strings.TrimSpace(fmt.Sprint(port)); port != nil && text != "0" {
		return text
	}
	return ""
}

// The errors of Parse. None repeats any of the text: it has a password, and a raw "/" in that password makes a port of
// its first half.
var (
	errJSON = errors.New("it is not the JSON of a connection " +
		"(conn_type, host, port, login, password, schema, description, extra)")
	errURI  = errors.New("it is neither JSON nor a URI: percent-encode / @ : # ? [ ] % in a password (%2F for /)")
	errPort = errors.New("its port is not a number from 1 to 65535: " +
		"percent-encode special characters in a password (%2F for /)")
)

// Parse reads a connection in JSON or as a URI (Airflow: airflow/sdk/definitions/connection.py, from_json and
// from_uri). It rejects what Airflow rejects.
func Parse(text string) (Connection, error) {
	text = strings.TrimSpace(text)
	parse := parseURI
	if strings.HasPrefix(text, "{") {
		parse = parseJSON
	}
	c, err := parse(text)
	if c.Port == "0" { // none, as for Airflow's hooks
		c.Port = ""
	}
	if err == nil && CheckPort(c.Port) != nil {
		err = errPort
	}
	return c, err
}

func parseJSON(text string) (Connection, error) {
	var c struct {
		ConnType                      string `json:"conn_type"`
		Schema, Host, Login, Password string
		Port, Description, Extra      any
	}
	in := json.NewDecoder(strings.NewReader(text))
	in.DisallowUnknownFields()
	if in.Decode(&c) != nil {
		return Connection{}, errJSON
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return Connection{}, errJSON
	}
	return Connection{typeOf(c.ConnType), c.Schema, c.Host, jsonPort(c.Port), c.Login, secret.New(c.Password)}, nil
}

// parseURI reads type://login:password@host:port/schema, or type://proto://… for a host with a scheme. It splits as
// Python's urlsplit does: net/url rejects a bare % or { in a password and a %2F in a host, which Airflow accepts.
func parseURI(text string) (Connection, error) {
	text = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(text)
	kind, rest, ok := strings.Cut(text, "://")
	if !ok || !isScheme(kind) {
		return Connection{}, errURI
	}
	proto := ""
	if before, after, ok := strings.Cut(rest, "://"); ok {
		if !isScheme(before) || before == kind || strings.Contains(after, "://") {
			return Connection{}, errURI
		}
		proto, rest = strings.ToLower(before)+"://", after
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	authority, schema, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(authority, '@')
	user := authority[:max(at, 0)]
	host, port, ok := splitHostPort(authority[at+1:])
	if !ok || strings.ContainsAny(user, "[]") {
		return Connection{}, errURI
	}
	if host != "" {
		host = proto + host
	}
	login, password, _ := strings.Cut(user, ":")
	return Connection{typeOf(kind), unquote(schema), host, port, unquote(login), secret.New(unquote(password))}, nil
}

func isScheme(text string) bool {
	u, err := url.Parse(text + "://")
	return err == nil && u.Scheme == strings.ToLower(text) && text != ""
}

// splitHostPort accepts host, host:port, [IPv6] and [IPv6]:port, with or without either. It returns a host in lower
// case unless it has a path.
func splitHostPort(text string) (host, port string, ok bool) {
	u := url.URL{Host: text}
	if host, port = u.Hostname(), u.Port(); strings.HasPrefix(text, "[") {
		return strings.ToLower(host), port, net.ParseIP(host) != nil
	}
	ok = !strings.ContainsAny(host, ":[]") // a port that is no number would be part of the host
	if host = unquote(host); !strings.Contains(host, "/") {
		host = strings.ToLower(host)
	}
	return host, port, ok
}

// unquote decodes %2F as Python does: what is not such a code stays as it is.
func unquote(text string) string {
	parts := strings.Split(text, "%")
	for i, part := range parts[1:] {
		if b, err := hex.DecodeString(part[:min(2, len(part))]); err == nil && len(b) == 1 {
			parts[i+1] = string(b) + part[2:]
		} else {
			parts[i+1] = "%" + part
		}
	}
	return strings.Join(parts, "")
}

func typeOf(text string) string { return strings.ReplaceAll(strings.ToLower(text), "-", "_") }

// CheckPort returns an error unless port is a number from 1 to 65535, or "".
func CheckPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return fmt.Errorf("port %.20q is not a number from 1 to 65535", port)
	}
	return nil
}

// BaseURL joins the fields of an http connection as Airflow's HttpHook does: a host with "://" is the URL itself, and
// the place for a base path; else the scheme is the connection's schema, or its type, or http. The port goes to the
// host, where HttpHook would put it behind the path.
func (c Connection) BaseURL() (string, error) {
	if err := CheckPort(c.Port); err != nil {
		return "", failure.Permanent(BadAddress, "%w", err)
	}
	text := c.Host
	if !strings.Contains(text, "://") {
		scheme, err := c.scheme()
		if err != nil {
			return "", err
		}
		if ip := net.ParseIP(text); ip != nil && strings.Contains(text, ":") {
			text = "[" + text + "]"
		}
		text = scheme + "://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil {
		// It is not repeated: it may have a password.
		return "", failure.Permanent(BadAddress, "its host is neither a name nor a URL without a login")
	}
	switch {
	case c.Port == "" || u.Port() == c.Port:
	case u.Port() != "":
		return "", failure.Permanent(BadAddress, "its port is %s, and its host has port %s", c.Port, u.Port())
	default:
		u.Host = net.JoinHostPort(u.Hostname(), c.Port)
	}
	return u.String(), nil
}

func (c Connection) scheme() (string, error) {
	switch schema := strings.ToLower(c.Schema); {
	case schema == "http" || schema == "https":
		return schema, nil
	case schema != "":
		return "", failure.Permanent(BadAddress, "its schema %.40q is neither http nor https", c.Schema)
	case c.Type == "https":
		return "https", nil
	}
	return "http", nil
}
