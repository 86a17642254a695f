// Package connection reads Airflow connections as Airflow does: a URI, JSON, or the DAG's list of logins.
package connection

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// BadAddress is a kind of failure: host, port and schema of an http connection make no URL.
const BadAddress failure.Kind = "address of an http connection"

// Connection is an Airflow connection as tasks see it.
type Connection struct {
	Type, Schema, Host, Port, Login string
	Password                        secret.Secret
	KeepLogin                       bool // reauth of a Docker connection's extra is off
}

// ParseList reads JSON lists of logins, each with the connections that have it, and returns these by id.
func ParseList(text string) (map[string]Connection, error) {
	type login struct {
		Login, Password string
		Connections     []struct {
			ID     string `json:"connection_id"`
			Type   string `json:"conn_type"`
			Host   string
			Port   any
			Reauth json.RawMessage // of its extra
		}
	}
	byID := map[string]Connection{}
	for in := json.NewDecoder(strings.NewReader(text)); in.More(); {
		var logins []login
		if in.Decode(&logins) != nil {
			return nil, errors.New("it is not a JSON list of logins with their connections")
		}
		for _, l := range logins {
			password := secret.New(l.Password)
			for _, c := range l.Connections {
				if c.Type == "" {
					return nil, errors.New("it does not name the types of its connections (conn_type)")
				}
				byID[c.ID] = Connection{
					Type: c.Type, Host: c.Host, Port: portOf(c.Port), Login: l.Login, Password: password,
					KeepLogin: isOff(c.Reauth),
				}
			}
		}
	}
	return byID, nil
}

// portOf reads a port as Airflow writes it: a number, a string or null. 0 is none, as for Airflow's hooks.
func portOf(port any) string {
	if text := strings.TrimSpace(fmt.Sprint(port)); port != nil && text != "0" {
		return text
	}
	return ""
}

// isOff reports whether reauth of an extra is off, as DockerHook reads it (airflow/providers/docker/hooks/docker.py).
func isOff(reauth json.RawMessage) bool {
	var value any
	if json.Unmarshal(reauth, &value) != nil { // it is not there
		return false
	}
	if text, ok := value.(string); ok {
		return slices.Contains([]string{"n", "no", "f", "false", "off", "0"}, strings.ToLower(text))
	}
	return value == nil || value == false || value == 0.0
}

// keepsLogin reports whether an extra, a JSON object or the text of one, turns reauth off.
func keepsLogin(extra json.RawMessage) bool {
	var text string
	if json.Unmarshal(extra, &text) == nil {
		extra = json.RawMessage(text)
	}
	var fields struct{ Reauth json.RawMessage }
	return json.Unmarshal(extra, &fields) == nil && isOff(fields.Reauth)
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
// from_uri). It rejects what Airflow rejects, and returns nothing of that.
func Parse(text string) (Connection, error) {
	text = strings.TrimSpace(text)
	parse := parseURI
	if strings.HasPrefix(text, "{") {
		parse = parseJSON
	}
	c, err := parse(text)
	if err == nil && CheckPort(c.Port) != nil {
		return Connection{}, errPort
	}
	return c, err
}

func parseJSON(text string) (Connection, error) {
	var c struct {
		ConnType                      string `json:"conn_type"`
		Schema, Host, Login, Password string
		Port, Description             any
		Extra                         json.RawMessage
	}
	in := json.NewDecoder(strings.NewReader(text))
	in.DisallowUnknownFields()
	err := in.Decode(&c)
	if _, end := in.Token(); err != nil || end != io.EOF {
		return Connection{}, errJSON
	}
	return Connection{
		Type: typeOf(c.ConnType), Schema: c.Schema, Host: c.Host, Port: portOf(c.Port), Login: c.Login,
		Password: secret.New(c.Password), KeepLogin: keepsLogin(c.Extra),
	}, nil
}

// uri splits type://login:password@host:port/schema, or type://proto://… for a host with a scheme, as Python's urlsplit
// does: net/url rejects a bare % or { in a password and a %2F in a host, which Airflow accepts.
var uri = regexp.MustCompile(`(?s)^(` + scheme + `)://(?:(` + scheme + `)://)?` +
	`(?:([^:/?#\[\]]*)(?::([^/?#\[\]]*))?@)?` + // login, password
	`(?:\[([^/?#\[\]]+)\]|([^:/?#\[\]@]*))(?::([^/?#]*))?` + // IPv6 or another host, port
	`(?:/([^?#]*))?(?:\?([^#]*))?(?:#.*)?$`) // schema, extra

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
	extra, _ := url.ParseQuery(part[9])
	keepLogin := keepsLogin(json.RawMessage(extra.Get("__extra__")))
	if !extra.Has("__extra__") {
		keepLogin = isOff(json.RawMessage(strconv.Quote(extra.Get("reauth"))))
	}
	return Connection{
		Type: typeOf(part[1]), Schema: unquote(part[8]), Host: host, Port: portOf(part[7]), Login: unquote(part[3]),
		Password: secret.New(unquote(part[4])), KeepLogin: keepLogin,
	}, nil
}

var escaped = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// unquote decodes %2F as Python does: what is not such a code stays as it is.
func unquote(text string) string {
	return escaped.ReplaceAllStringFunc(text, func(code string) string {
		char, _ := hex.DecodeString(code[1:])
		return string(char)
	})
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
	u, err := url.Parse(c.address())
	switch {
	case !strings.Contains(c.Host, "://") && !regexp.MustCompile(`^(?i:https?)?$`).MatchString(c.Schema):
		return "", failure.Permanent(BadAddress, "its schema %.40q is neither http nor https", c.Schema)
	case err != nil || u.Hostname() == "" || u.User != nil: // it is not repeated: it may have a password
		return "", failure.Permanent(BadAddress, "its host is neither a name nor a URL without a login")
	case CheckPort(c.Port) != nil:
		return "", failure.Permanent(BadAddress, "%w", CheckPort(c.Port))
	case c.Port != "" && u.Port() != "" && u.Port() != c.Port:
		return "", failure.Permanent(BadAddress, "its port is %s, and its host has port %s", c.Port, u.Port())
	case c.Port != "":
		u.Host = net.JoinHostPort(u.Hostname(), c.Port)
	}
	return u.String(), nil
}

// address returns the host behind its scheme.
func (c Connection) address() string {
	scheme := cmp.Or(strings.ToLower(c.Schema), "http")
	if c.Schema == "" && c.Type == "https" {
		scheme = "https"
	}
	switch {
	case strings.Contains(c.Host, "://"):
		return c.Host
	case net.ParseIP(c.Host) != nil && strings.Contains(c.Host, ":"):
		return scheme + "://[" + c.Host + "]"
	}
	return scheme + "://" + c.Host
}
