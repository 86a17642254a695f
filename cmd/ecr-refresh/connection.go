package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/token"
)

// connection is an Airflow connection as tasks see it.
type connection struct {
	connType, schema, host, port, login string
	password                            token.Secret
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
		password: secret(prefix + "PASSWORD"),
	}
	return c, found || !c.password.Empty()
}

// connectionFromEnv reads AIRFLOW_CONN_<ID> as Airflow does.
func connectionFromEnv(id string) (connection, bool, error) {
	text := strings.TrimSpace(os.Getenv(connectionEnv(id)))
	if unset(text) {
		return connection{}, false, nil
	}
	c, err := parseConnection(text)
	if err != nil {
		return connection{}, true, failure.Permanent("see Airflow's manual on connections in environment variables", "read %s: %w", connectionEnv(id), err)
	}
	return c, true, nil
}

// parseConnection reads a connection in JSON or as a URI (Airflow: airflow/sdk/definitions/connection.py, from_json and
// from_uri). No error repeats the text: a password stands in it.
func parseConnection(text string) (connection, error) {
	if strings.HasPrefix(text, "{") {
		return parseConnectionJSON(text)
	}
	return parseConnectionURI(text)
}

func parseConnectionJSON(text string) (connection, error) {
	var c struct {
		ConnType string          `json:"conn_type"`
		Schema   string          `json:"schema"`
		Host     string          `json:"host"`
		Login    string          `json:"login"`
		Password string          `json:"password"`
		Port     json.RawMessage `json:"port"`
	}
	if json.Unmarshal([]byte(text), &c) != nil {
		return connection{}, errors.New("it is not the JSON of a connection")
	}
	port := strings.Trim(string(c.Port), `"`)
	if port == "null" {
		port = ""
	}
	return connection{c.ConnType, c.Schema, c.Host, port, c.Login, token.NewSecret(c.Password)}, checkPort(port)
}

// parseConnectionURI reads type://login:password@host:port/schema, or type://proto://… for a host with a scheme.
func parseConnectionURI(text string) (connection, error) {
	connType, rest, ok := strings.Cut(text, "://")
	if !ok || connType == "" {
		return connection{}, errors.New("it is neither JSON nor a URI")
	}
	scheme, uri := "", "//"+rest
	if proto, _, ok := strings.Cut(rest, "://"); ok && !strings.ContainsAny(proto, "@:/") {
		scheme, uri = proto+"://", rest
	}
	u, err := url.Parse(uri)
	if err != nil {
		return connection{}, errors.New("it is not a URI: quote special characters in it (%2F for /)")
	}
	c := connection{
		connType: strings.ReplaceAll(connType, "-", "_"), schema: strings.TrimPrefix(u.Path, "/"), host: u.Hostname(), port: u.Port(), login: u.User.Username(),
	}
	if c.host != "" {
		c.host = scheme + c.host
	}
	if password, ok := u.User.Password(); ok {
		c.password = token.NewSecret(password)
	}
	return c, checkPort(c.port)
}

func checkPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return fmt.Errorf("port %.20q is not a number from 1 to 65535", port)
	}
	return nil
}

// baseURL joins the fields of an http connection as Airflow's HttpHook does: a host with "://" is the URL itself, and
// the place for a base path; else the scheme is the connection's schema, or its type, or http.
func (c connection) baseURL() (string, error) {
	if err := checkPort(c.port); err != nil {
		return "", err
	}
	if strings.Contains(c.host, "://") {
		return c.hostURL()
	}
	scheme := "http"
	switch {
	case c.schema == "http" || c.schema == "https":
		scheme = c.schema
	case c.schema != "":
		return "", failure.Permanent("give schema http or https; a base path belongs into host, as https://host/path",
			"schema %.40q is neither http nor https", c.schema)
	case c.connType == "https":
		scheme = c.connType
	}
	if c.port == "" {
		return scheme + "://" + c.host, nil
	}
	return scheme + "://" + net.JoinHostPort(strings.Trim(c.host, "[]"), c.port), nil
}

// hostURL adds the port to a host that is a URL, where that has none.
func (c connection) hostURL() (string, error) {
	u, err := url.Parse(c.host)
	if err != nil || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("host %.80q is not a URL without a login", failure.Said(c.host))
	}
	if c.port != "" && u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), c.port)
	}
	return u.String(), nil
}
