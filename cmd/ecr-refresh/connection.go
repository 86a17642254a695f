package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// connection is an Airflow connection as tasks see it.
type connection struct {
	connType, schema, host, port, login string
	password                            secret.Secret
}

// connectionEnv is the environment variable in which Airflow looks for a connection before its database.
func connectionEnv(id string) string { return "AIRFLOW_CONN_" + strings.ToUpper(id) }

// connectionFields reads a connection that the DAG rendered field by field, under names that start with prefix.
func connectionFields(prefix string) (c connection, found bool) {
	field := func(name string) string {
		if v := os.Getenv(prefix + name); !unset(v) {
			found = true
			return strings.TrimSpace(v)
		}
		return ""
	}
	c = connection{
		connType: field("CONN_TYPE"), schema: field("SCHEMA"), host: field("HOST"), port: field("PORT"), login: field("LOGIN"),
		password: secretFromEnv(prefix + "PASSWORD"),
	}
	return c, found || !c.password.Empty()
}

// handedConnections reads the connections that the DAG hands over, by id: lists of logins, each with the connections that
// have it, in as many variables as it takes.
func handedConnections() (map[string]connection, error) {
	handed := map[string]connection{}
	for n := 1; ; n++ {
		text := os.Getenv(partName(dockerSecrets, n))
		if unset(text) {
			return handed, nil
		}
		var logins []struct {
			Login, Password string
			Connections     []struct {
				ID   string `json:"connection_id"`
				Host string
				Port any
			}
		}
		if json.Unmarshal([]byte(text), &logins) != nil {
			return nil, failure.Permanent("deploy the DAG of this version", "read %s: it is not a JSON list of logins with their connections", partName(dockerSecrets, n))
		}
		for _, l := range logins {
			password := secret.New(l.Password)
			for _, c := range l.Connections {
				handed[c.ID] = connection{host: c.Host, port: jsonPort(c.Port), login: l.Login, password: password}
			}
		}
	}
}

// jsonPort reads a port as Airflow writes it: a number, a string or null.
func jsonPort(port any) string {
	text := strings.TrimSpace(fmt.Sprint(port))
	if port == nil || text == "0" {
		return ""
	}
	return text
}

// connectionFromEnv reads AIRFLOW_CONN_<ID> as Airflow does.
func connectionFromEnv(id string) (connection, bool, error) {
	text := os.Getenv(connectionEnv(id))
	if unset(text) {
		return connection{}, false, nil
	}
	c, err := parseConnection(text)
	if err != nil {
		return connection{}, true, failure.Permanent("see Airflow's manual on connections in environment variables", "read %s: %w", connectionEnv(id), err)
	}
	return c, true, nil
}

// The faults of a connection's text. None repeats any of it: a password stands in it, and a raw "/" in that password
// makes a port of its first half.
var (
	errConnectionJSON = errors.New("it is not the JSON of a connection (conn_type, host, port, login, password, schema, description, extra)")
	errConnectionURI  = errors.New("it is neither JSON nor a URI: quote / @ : # ? [ ] % in a password (%2F for /)")
	errConnectionPort = errors.New("its port is not a number from 1 to 65535: is a special character in the password not quoted (%2F for /)?")
)

// parseConnection reads a connection in JSON or as a URI (Airflow: airflow/sdk/definitions/connection.py, from_json and
// from_uri). What Airflow refuses is refused.
func parseConnection(text string) (connection, error) {
	text = strings.TrimSpace(text)
	parse := parseConnectionURI
	if strings.HasPrefix(text, "{") {
		parse = parseConnectionJSON
	}
	c, err := parse(text)
	if c.port == "0" { // Airflow's hooks take it for none
		c.port = ""
	}
	if err == nil && checkPort(c.port) != nil {
		err = errConnectionPort
	}
	return c, err
}

func parseConnectionJSON(text string) (connection, error) {
	var c struct {
		ConnType    string `json:"conn_type"`
		Schema      string
		Host        string
		Login       string
		Password    string
		Port        any
		Description any
		Extra       any
	}
	in := json.NewDecoder(strings.NewReader(text))
	in.DisallowUnknownFields()
	if in.Decode(&c) != nil {
		return connection{}, errConnectionJSON
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return connection{}, errConnectionJSON
	}
	return connection{connType(c.ConnType), c.Schema, c.Host, jsonPort(c.Port), c.Login, secret.New(c.Password)}, nil
}

// parseConnectionURI reads type://login:password@host:port/schema, or type://proto://… for a host with a scheme. It
// splits as Python's urlsplit does: net/url refuses a bare % or { in a password, and Airflow takes it.
func parseConnectionURI(text string) (connection, error) {
	text = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(text)
	kind, rest, ok := strings.Cut(text, "://")
	if !ok || !uriScheme.MatchString(kind) {
		return connection{}, errConnectionURI
	}
	proto := ""
	if before, after, ok := strings.Cut(rest, "://"); ok {
		if !uriScheme.MatchString(before) || before == kind || strings.Contains(after, "://") {
			return connection{}, errConnectionURI
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
		return connection{}, errConnectionURI
	}
	if host != "" {
		host = proto + host
	}
	login, password, _ := strings.Cut(user, ":")
	return connection{connType(kind), unquote(schema), host, port, unquote(login), secret.New(unquote(password))}, nil
}

var (
	uriScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
	quoted    = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// splitHostPort takes host, host:port, [IPv6] and [IPv6]:port, with or without either. A host is in lower case unless a
// path stands in it.
func splitHostPort(text string) (host, port string, ok bool) {
	if inner, found := strings.CutPrefix(text, "["); found {
		host, port, ok = strings.Cut(inner, "]")
		port, colon := strings.CutPrefix(port, ":")
		return strings.ToLower(host), port, ok && net.ParseIP(host) != nil && (colon || port == "")
	}
	host, port, _ = strings.Cut(text, ":")
	host = unquote(host)
	if !strings.Contains(host, "/") {
		host = strings.ToLower(host)
	}
	return host, port, !strings.ContainsAny(text, "[]")
}

// unquote decodes %2F as Python does: what is not such a code stays as it is.
func unquote(text string) string {
	return quoted.ReplaceAllStringFunc(text, func(code string) string {
		b, _ := hex.DecodeString(code[1:])
		return string(b)
	})
}

func connType(text string) string { return strings.ReplaceAll(strings.ToLower(text), "-", "_") }

func checkPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return fmt.Errorf("port %.20q is not a number from 1 to 65535", port)
	}
	return nil
}

// baseURL joins the fields of an http connection as Airflow's HttpHook does: a host with "://" is the URL itself, and
// the place for a base path; else the scheme is the connection's schema, or its type, or http. The port goes to the
// host, where HttpHook would put it behind the path.
func (c connection) baseURL() (string, error) {
	if err := checkPort(c.port); err != nil {
		return "", err
	}
	text := c.host
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
		return "", errors.New("host is neither a name nor a URL without a login") // not repeated: a password may stand in it
	}
	switch {
	case c.port == "" || u.Port() == c.port:
	case u.Port() != "":
		return "", fmt.Errorf("port is %s, and host names port %s", c.port, u.Port())
	default:
		u.Host = net.JoinHostPort(u.Hostname(), c.port)
	}
	return u.String(), nil
}

func (c connection) scheme() (string, error) {
	switch schema := strings.ToLower(c.schema); {
	case schema == "http" || schema == "https":
		return schema, nil
	case schema != "":
		return "", failure.Permanent("give schema http or https; a base path belongs into host, as https://host/path",
			"schema %.40q is neither http nor https", c.schema)
	case c.connType == "https":
		return "https", nil
	}
	return "http", nil
}
