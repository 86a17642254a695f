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
	Environ []string // of credential helpers, as os.Environ's; nil is this process's own

	path        string
	err         error           // why docker-py, and with it every Docker task, fails
	auths       []login         // in the order of the file
	credsStore  json.RawMessage // of any type: docker-py fails once it uses a wrong one
	credHelpers map[string]json.RawMessage
}

// login is what an entry of auths, or a helper, has for a registry.
type login struct {
	key      string // of auths; "": it is a helper's
	from     string // what it is of, to show; "": the connection
	empty    bool   // an entry without any login
	username string // "" with an identity token
	password secret.Secret
}

// ReadConfig reads the first of the files at paths that exists, as docker-py does (docker/utils/config.py). The error
// says why docker-py ignores that file; the Config is then empty, as it is without a file.
func ReadConfig(paths ...string) (Config, error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		var text []byte
		if info.Mode().IsRegular() && info.Size() <= 1<<20 {
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
			config.err = config.fails(err.Error())
		}
		return config, nil
	}
	return Config{}, nil
}

// Empty reports whether docker-py finds no file, or ignores it.
func (c Config) Empty() bool { return c.path == "" }

// parse reads the sections that docker-py reads (APIClient.__init__, AuthConfig.load_config): an empty one of any type
// counts as missing. A file with none of the three is of the old format, with the entries of auths at its top. The
// error says what makes docker-py fail.
func (c *Config) parse(text []byte) error {
	file := object(text)
	if file == nil {
		return errors.New("it is not a JSON object")
	}
	if proxies, found := file["proxies"]; found { // they say nothing about logins, but docker-py reads them
		of := object(proxies)
		if usual, found := of["default"]; of == nil || found && object(usual) == nil {
			return errors.New("proxies is not an object of objects")
		}
	}
	auths, helpers := unlessEmpty(file["auths"]), unlessEmpty(file["credHelpers"])
	c.credsStore, c.credHelpers = unlessEmpty(file["credsStore"]), object(helpers)
	switch {
	case helpers != nil && c.credHelpers == nil:
		return errors.New("credHelpers is not an object")
	case auths != nil:
		return c.addAuths(auths, false)
	case c.credsStore == nil && c.credHelpers == nil:
		return c.addAuths(text, true)
	}
	return nil
}

// addAuths reads entries. In a file of the old format, one that is no object means that none of them is an entry.
func (c *Config) addAuths(auths []byte, oldFormat bool) error {
	entries := object(auths)
	if entries == nil {
		return errors.New("auths is not an object")
	}
	for _, key := range names(auths) {
		fields := object(entries[key])
		if fields == nil && oldFormat {
			c.auths = nil
			return nil
		}
		found := login{key: key, from: fmt.Sprintf("auths[%q]", key)}
		if fields == nil {
			return fmt.Errorf("entry %s is not an object", found.from)
		}
		if err := found.parse(fields); err != nil {
			return fmt.Errorf("entry %s %w", found.from, err)
		}
		c.auths = append(c.auths, found)
	}
	return nil
}

// parse reads an entry of auths (parse_auth, decode_auth).
func (l *login) parse(fields map[string]json.RawMessage) error {
	auth, found := fields["auth"]
	if _, token := fields["identitytoken"]; token || !found {
		l.empty = !token
		return nil
	}
	username, password, ok := decodeAuth(auth)
	if !ok {
		return errors.New(`has an "auth" that is not user:password in base64`)
	}
	l.username, l.password = username, secret.New(password)
	return nil
}

// Pull is a login and then a pull, as a Docker task does both.
type Pull struct {
	Server   string // that the connection logs in to: its host, with its port
	Registry string // of the image: a host
	Username string // of the connection
	Reauth   bool   // of its extra: log in though the file has a login of this user
	// Accepts returns nil if the registry accepts a login of the file: registry.Client.Check.
	Accepts func(ctx context.Context, registryURL, username string, password secret.Secret) error
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
	err = registry.ErrRejected // of an identity token: ECR issues none
	if found.username != "" {
		err = pull.Accepts(ctx, "https://"+pull.Registry, found.username, found.password)
	}
	used := fmt.Sprintf("docker-py takes the login of %s, entry %s, in place of the connection's", c.path, found.from)
	switch {
	case err == nil:
		warning := failure.Permanent(EntryUsed, "%s: the registry accepts it", used)
		return warning.About(pull.Registry).Want(pull.Registry), nil
	case !errors.Is(err, registry.ErrRejected):
		return nil, err
	}
	return nil, failure.Permanent(EntryWins, "%s: the registry rejects it", used).About(c.path).Want(pull.Registry)
}

// resolve returns the login that docker-py takes for the pull, nil for none, or an error where it fails. It looks for
// one of the server first (APIClient.login): the connection's login is not used where the file has the same user and
// reauth is off, else it is kept under the server's name as it is written. A helper's login goes before all entries.
func (c Config) resolve(ctx context.Context, pull Pull) (*login, error) {
	if c.err != nil {
		return nil, c.err
	}
	helpers, err := c.ofHelper(ctx, pull.Server)
	there := c.entry(pull.Server)
	inFile := helpers == nil && there != nil && there.username == pull.Username
	if err == nil && pull.Registry != pull.Server {
		helpers, err = c.ofHelper(ctx, pull.Registry)
	}
	if helpers != nil || err != nil {
		return helpers, err
	}
	if pull.Reauth || !inFile {
		c.auths = slices.Clone(c.auths)
		at := slices.IndexFunc(c.auths, func(l login) bool { return l.key == pull.Server })
		if at < 0 {
			at, c.auths = len(c.auths), append(c.auths, login{})
		}
		c.auths[at] = login{key: pull.Server}
	}
	return c.entry(pull.Registry), nil
}

// entry returns the entry of a registry's host, or else the first whose key has that host, or nil (resolve_authconfig).
func (c Config) entry(name string) *login {
	host := hostname(name)
	at := slices.IndexFunc(c.auths, func(l login) bool { return l.key == host })
	if at < 0 {
		at = slices.IndexFunc(c.auths, func(l login) bool { return hostname(l.key) == host })
	}
	if at < 0 {
		return nil
	}
	return &c.auths[at]
}

// ofHelper returns what the helper or store for a registry has, or nil.
func (c Config) ofHelper(ctx context.Context, name string) (*login, error) {
	value, from := c.credsStore, "credsStore"
	if own := unlessEmpty(c.credHelpers[name]); own != nil {
		value, from = own, fmt.Sprintf("credHelpers[%q]", name)
	}
	if value == nil {
		return nil, nil
	}
	var helper string
	if json.Unmarshal(value, &helper) != nil {
		return nil, c.fails(from + " is not the name of a helper")
	}
	found, err := askHelper(ctx, c.Environ, helper, name)
	if err != nil {
		return nil, fmt.Errorf("docker-py first asks %s, entry %s = %q: %w", c.path, from, helper, err)
	}
	if found != nil {
		found.from = fmt.Sprintf("%s = %q", from, helper)
	}
	return found, nil
}

func (c Config) fails(why string) error {
	return failure.Permanent(BadConfig, "docker-py cannot read %s, Docker tasks fail: %s", c.path, why).About(c.path)
}

// hostname is docker-py's convert_to_hostname, which keeps a port.
func hostname(key string) string {
	host, _, _ := strings.Cut(strings.NewReplacer("https://", "", "http://", "").Replace(key), "/")
	return host
}
