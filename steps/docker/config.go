package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// Why docker-py does not use a fresh login. The fact Object is the path of the configuration file; of HelperFails it is
// the helper's program. Want, of EntryWins, EntryUsed and HelperFails, is the registry.
const (
	BadConfig   failure.Kind = "docker config makes docker-py fail"
	EntryWins   failure.Kind = "docker config entry wins over the login"
	HelperFails failure.Kind = "docker credential helper fails"
	EntryUsed   failure.Kind = "docker config entry has a good login" // a warning, as the next; Object is the registry
	OtherServer failure.Kind = "docker logs in to another server's name"
)

// Config is what docker-py 7, which Airflow's DockerHook uses, reads of its configuration file before it uses a fresh
// login (docker/auth.py). TestRealDockerConfig compares it with docker-py itself.
type Config struct {
	path        string
	err         error // why docker-py, and with it every Docker task, fails
	auths       []entry
	credsStore  json.RawMessage // both may be of any type: docker-py fails once it uses a wrong one
	credHelpers json.RawMessage
}

// entry is an entry of auths, in the order of the file.
type entry struct {
	key string
	login
}

// login is what an entry, or a helper, has for a registry.
type login struct {
	from     string // what it is of, to show; "": the connection
	helper   bool   // it is a helper's
	empty    bool   // an entry without any login
	username string // "" with an identity token
	password secret.Secret
}

// ReadConfig reads the first of the files at paths that exists, as docker-py does (docker/utils/config.py). The error
// says why docker-py ignores that file; the Config is then empty, as it is without a file.
func ReadConfig(paths ...string) (Config, error) {
	exists := func(path string) bool { _, err := os.Stat(path); return err == nil }
	at := slices.IndexFunc(paths, exists)
	if at < 0 {
		return Config{}, nil
	}
	path := paths[at]
	info, err := os.Stat(path)
	var text []byte
	if err == nil && info.Mode().IsRegular() && info.Size() <= 1<<20 {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, errors.Unwrap(err))
	}
	if !isJSON(text) {
		return Config{}, fmt.Errorf("read %s: not the JSON of a Docker config, or longer than 1 MiB", path)
	}
	config := Config{path: path}
	if err := config.parse(text); err != nil {
		const form = "docker-py cannot read %s, and every Docker task fails: %w"
		config.err = failure.Permanent(BadConfig, form, path, err).About(path)
	}
	return config, nil
}

// Empty reports whether docker-py finds no file, or ignores it.
func (c Config) Empty() bool { return c.path == "" }

// parse reads the sections that docker-py reads (APIClient.__init__, AuthConfig.load_config): an empty one of any type
// counts as missing. A file with none of the three is of the old format, with the entries of auths at its top. The
// error says what makes docker-py fail.
func (c *Config) parse(text []byte) error {
	file, ok := object(text)
	if !ok {
		return errors.New("it is not a JSON object")
	}
	if err := checkProxies(file); err != nil {
		return err
	}
	auths := file.unlessEmpty("auths")
	c.credsStore, c.credHelpers = file.unlessEmpty("credsStore"), file.unlessEmpty("credHelpers")
	entries, ok := object(auths)
	switch {
	case auths != nil && !ok:
		return errors.New("auths is not an object")
	case auths != nil:
		return c.addAuths(entries, false)
	case c.credsStore == nil && c.credHelpers == nil:
		return c.addAuths(file, true)
	}
	return nil
}

// checkProxies looks at a section that says nothing about logins, but must be an object of objects.
func checkProxies(file members) error {
	proxies, found := file.get("proxies")
	if !found {
		return nil
	}
	of, ok := object(proxies)
	usual, found := of.get("default")
	if _, isObject := object(usual); !ok || found && !isObject {
		return errors.New("proxies is not an object of objects")
	}
	return nil
}

// addAuths reads entries. In a file of the old format, one that is no object means that none of them is an entry.
func (c *Config) addAuths(entries members, oldFormat bool) error {
	for _, m := range entries {
		fields, ok := object(m.value)
		if !ok && oldFormat {
			c.auths = nil
			return nil
		}
		if !ok {
			return fmt.Errorf("entry auths[%q] is not an object", m.name)
		}
		found, err := parseEntry(fields)
		if err != nil {
			return fmt.Errorf("entry auths[%q] %w", m.name, err)
		}
		found.from = fmt.Sprintf("auths[%q]", m.name)
		c.auths = append(c.auths, entry{m.name, found})
	}
	return nil
}

// parseEntry reads an entry of auths (parse_auth, decode_auth).
func parseEntry(fields members) (login, error) {
	if _, found := fields.get("identitytoken"); found {
		return login{}, nil
	}
	raw, found := fields.get("auth")
	if !found {
		return login{empty: true}, nil
	}
	var auth *string
	if json.Unmarshal(raw, &auth) == nil && auth != nil {
		if username, password, ok := decodeAuth(*auth); ok {
			return login{username: username, password: secret.New(password)}, nil
		}
	}
	return login{}, errors.New(`has an "auth" that is not user:password in base64`)
}

// Pull is a login and then a pull, as a Docker task does both.
type Pull struct {
	Server   string // that the connection logs in to: its host, with its port
	Registry string // of the image: a host
	Username string // of the connection
	Reauth   bool   // of its extra: log in though the file has a login of this user
	// Accepts returns nil if the registry accepts a login of the file.
	Accepts func(ctx context.Context, username string, password secret.Secret) error
}

// Check looks at which login docker-py takes for a pull. warning is for what does no harm now, or none to the names of
// images that people write; err for what makes Docker tasks fail.
func (c Config) Check(ctx context.Context, pull Pull) (warning, err error) {
	found, err := c.resolve(ctx, pull)
	switch {
	case err != nil:
		return nil, err
	case found == nil || found.empty:
		const form = "the connection makes Docker log in to %q: an image named %s/… is pulled without this login"
		return failure.Permanent(OtherServer, form, pull.Server, pull.Registry).About(pull.Registry), nil
	case found.from == "":
		return nil, nil
	}
	if found.username != "" {
		err = pull.Accepts(ctx, found.username, found.password)
	}
	if found.username != "" && err == nil {
		const form = "docker-py takes the login of %s, entry %s, in place of the connection's: " +
			"the registry accepts it"
		return failure.Permanent(EntryUsed, form, c.path, found.from).About(pull.Registry).Want(pull.Registry), nil
	}
	if err != nil && !errors.Is(err, registry.ErrRejected) {
		return nil, err
	}
	const form = "docker-py takes the login of %s, entry %s, in place of the connection's: the registry rejects it"
	return nil, failure.Permanent(EntryWins, form, c.path, found.from).About(c.path).Want(pull.Registry)
}

// resolve returns the login that docker-py takes for the pull, nil for none, or an error where it fails. It looks for
// one of the server first (APIClient.login): the connection's login is not used where the file has the same user and
// reauth is off, else it is kept under the server's name as it is written.
func (c Config) resolve(ctx context.Context, pull Pull) (*login, error) {
	if c.err != nil {
		return nil, c.err
	}
	there, err := c.find(ctx, pull.Server)
	if err != nil {
		return nil, err
	}
	inFile := there != nil && there.username == pull.Username && !there.helper
	if pull.Reauth || !inFile {
		fresh := entry{key: pull.Server}
		c.auths = slices.Clone(c.auths)
		if at := slices.IndexFunc(c.auths, func(e entry) bool { return e.key == pull.Server }); at >= 0 {
			c.auths[at] = fresh
		} else {
			c.auths = append(c.auths, fresh)
		}
	}
	return c.find(ctx, pull.Registry)
}

// find returns what the file has for a registry, or nil (AuthConfig.resolve_authconfig): the login of its helper, or
// else the entry of its host, or else the first one whose key has that host.
func (c Config) find(ctx context.Context, name string) (*login, error) {
	if found, err := c.ofHelper(ctx, name); found != nil || err != nil {
		return found, err
	}
	host := hostname(name)
	for _, same := range []func(key string) bool{
		func(key string) bool { return key == host },
		func(key string) bool { return hostname(key) == host },
	} {
		if at := slices.IndexFunc(c.auths, func(e entry) bool { return same(e.key) }); at >= 0 {
			return &c.auths[at].login, nil
		}
	}
	return nil, nil
}

// ofHelper returns what the helper or store for a registry has, or nil.
func (c Config) ofHelper(ctx context.Context, name string) (*login, error) {
	value, from := c.credsStore, "credsStore"
	if c.credHelpers != nil {
		helpers, ok := object(c.credHelpers)
		if !ok {
			return nil, c.fails("credHelpers is not an object")
		}
		if own := helpers.unlessEmpty(name); own != nil {
			value, from = own, fmt.Sprintf("credHelpers[%q]", name)
		}
	}
	if value == nil {
		return nil, nil
	}
	var helper string
	if json.Unmarshal(value, &helper) != nil {
		return nil, c.fails(from + " is not the name of a helper")
	}
	found, err := askHelper(ctx, helper, name)
	if err != nil {
		const form = "docker-py asks %s before the fresh login, entry %s = %q: %w"
		return nil, fmt.Errorf(form, c.path, from, helper, err)
	}
	if found != nil {
		found.from, found.helper = fmt.Sprintf("%s = %q", from, helper), true
	}
	return found, nil
}

func (c Config) fails(why string) error {
	const form = "docker-py cannot use %s, and every Docker task fails: %s"
	return failure.Permanent(BadConfig, form, c.path, why).About(c.path)
}

// hostname is docker-py's convert_to_hostname, which keeps a port.
func hostname(key string) string {
	host, _, _ := strings.Cut(strings.NewReplacer("https://", "", "http://", "").Replace(key), "/")
	return host
}
