package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"ecr-refresh/steps/failure"
)

// maxDockerConfig bounds what is read of a config.json.
const maxDockerConfig = 1 << 20

// Config is what docker-py, under Airflow's DockerHook, reads of ~/.docker/config.json before it uses a fresh
// login. No password in it is kept.
type Config struct {
	path        string
	fault       error             // what makes docker-py, and with it every Docker task, fail before any login
	users       map[string]string // of auths, by their keys
	credsStore  string
	credHelpers map[string]string
}

// ReadConfig reads the file at path; a missing one is an empty Config.
func ReadConfig(path string) (Config, error) {
	config := Config{path: path}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config, nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxDockerConfig {
		return config, fmt.Errorf("read %s: not a readable file of at most %d bytes", path, maxDockerConfig)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return config, fmt.Errorf("read %s: %w", path, errors.Unwrap(err))
	}
	var file struct {
		Auths       map[string]json.RawMessage `json:"auths"`
		CredsStore  string                     `json:"credsStore"`
		CredHelpers map[string]string          `json:"credHelpers"`
	}
	if json.Unmarshal(text, &file) != nil {
		return config, fmt.Errorf("read %s: not the JSON of a Docker config", path)
	}
	config.credsStore, config.credHelpers, config.users = file.CredsStore, file.CredHelpers, map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(file.Auths)) {
		if config.users[key], err = userOf(file.Auths[key]); err != nil {
			config.fault = failure.Permanent("remove this entry from the worker's file (docker logout, or edit it)",
				"docker-py cannot read %s, and every Docker task fails of it: entry auths[%q] %w", path, key, err)
		}
	}
	return config, nil
}

// userOf reads the login of an auths entry as docker-py does (docker/auth.py, parse_auth), whose base64 leaves out what is
// not of its alphabet.
func userOf(entry json.RawMessage) (string, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(entry, &fields) != nil || fields == nil {
		return "", errors.New("is no object")
	}
	if fields["auth"] == nil || fields["identitytoken"] != nil {
		return "", nil
	}
	var auth string
	_ = json.Unmarshal(fields["auth"], &auth) // what is no text, docker-py cannot decode
	login, err := base64.StdEncoding.DecodeString(regexp.MustCompile(`[^A-Za-z0-9+/=]`).ReplaceAllString(auth, ""))
	user, _, found := strings.Cut(string(login), ":")
	if err != nil || !found {
		return "", errors.New(`has an "auth" that is not user:password in base64`)
	}
	return user, nil
}

// Login is what DockerHook logs in to: Server is made of the connection's host and port, Registry is the host that
// image names begin with, and ReauthOff is what the connection's extra says (docker-py then keeps a login that it finds).
type Login struct {
	Server, Registry string
	Username         string // of the login
	ReauthOff        bool
}

// Check tells what docker-py 7 would do for a login (docker/auth.py, resolve_authconfig; testdata/docker_config.json is what
// it did). A helper or store is asked before the fresh login is used: it raises, or its own login wins. The fresh login is kept under
// Server as it is written, and a pull looks for Registry first: with a scheme or a port in Server, a stale auths entry is found
// before it. warning is for what does no harm to the image names that people write; err for what does.
func (c Config) Check(ctx context.Context, l Login) (warning string, err error) {
	if c.fault != nil {
		return "", c.fault
	}
	if err := c.checkHelpers(ctx, l); err != nil {
		return "", err
	}
	for _, key := range slices.Sorted(maps.Keys(c.users)) {
		switch {
		case l.ReauthOff && hostname(key) == hostname(l.Server) && c.users[key] == l.Username:
			return "", c.wins(fmt.Sprintf("auths[%q]", key), "and the connection's extra turns reauth off")
		case hostname(key) != l.Registry:
		case l.Server == l.Registry:
			warning = fmt.Sprintf("%s has an auths entry %q: harmless while the connection's extra does not turn reauth off; better run: docker logout %s",
				c.path, key, l.Registry)
		case key != l.Server:
			return "", c.wins(fmt.Sprintf("auths[%q]", key), "since the connection's host is not the bare registry")
		}
	}
	if hostname(l.Server) != l.Registry {
		warning = fmt.Sprintf("the connection makes Docker log in to %q: an image named %s/… is pulled without this login; leave the port empty", l.Server, l.Registry)
	}
	return warning, nil
}

// checkHelpers asks the helpers that the login and a pull ask. Only for a pull does it matter what they have.
func (c Config) checkHelpers(ctx context.Context, l Login) error {
	for _, key := range slices.Compact([]string{l.Registry, l.Server}) {
		name, entry := c.credHelpers[key], fmt.Sprintf("credHelpers[%q]", key)
		if name == "" {
			name, entry = c.credsStore, "credsStore"
		}
		if name == "" {
			continue
		}
		entry += fmt.Sprintf(" = %q", name)
		found, err := askHelper(ctx, name, key)
		if err != nil {
			return fmt.Errorf("docker-py asks %s before the fresh login, entry %s: %w", c.path, entry, err)
		}
		if found && key == l.Registry {
			return c.wins(entry, "since that helper has a login for it")
		}
	}
	return nil
}

// hostname is docker-py's convert_to_hostname: a port stays.
func hostname(key string) string {
	host, _, _ := strings.Cut(strings.NewReplacer("https://", "", "http://", "").Replace(key), "/")
	return host
}

func (c Config) wins(entry, why string) error {
	return failure.Permanent("remove this entry from the worker's file (docker logout, or edit it)",
		"docker-py asks %s before the fresh login: entry %s wins over the connection, %s", c.path, entry, why)
}
