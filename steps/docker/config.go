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
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"ecr-refresh/steps/failure"
)

// Why docker-py does not use a fresh login. The fact Object is the path of config.json; of HelperFails it is the
// helper's program. Want, of EntryWins and HelperFails, is the registry.
const (
	BadEntry      failure.Kind = "docker config entry is not valid"
	EntryWins     failure.Kind = "docker config entry wins over the login"
	HelperFails   failure.Kind = "docker credential helper fails"
	HarmlessEntry failure.Kind = "docker config entry is harmless" // a warning, as the next; Object is the registry
	OtherServer   failure.Kind = "docker logs in to another server's name"
)

// Config is what docker-py, which Airflow's DockerHook uses, reads of ~/.docker/config.json before it uses a fresh
// login. It holds no password.
type Config struct {
	path        string
	err         error    // why docker-py, and with it every Docker task, fails before any login
	auths       []string // the keys, sorted
	credsStore  string
	credHelpers map[string]string
}

// ReadConfig reads the file at path. A missing one is an empty Config.
func ReadConfig(path string) (Config, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	var text []byte
	if err == nil && info.Mode().IsRegular() && info.Size() <= 1<<20 {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, errors.Unwrap(err))
	}
	var file struct {
		Auths       map[string]json.RawMessage `json:"auths"`
		CredsStore  string                     `json:"credsStore"`
		CredHelpers map[string]string          `json:"credHelpers"`
	}
	if json.Unmarshal(text, &file) != nil {
		return Config{}, fmt.Errorf("read %s: not the JSON of a Docker config, or longer than 1 MiB", path)
	}
	config := Config{path, nil, slices.Sorted(maps.Keys(file.Auths)), file.CredsStore, file.CredHelpers}
	for _, key := range config.auths {
		if err := checkEntry(file.Auths[key]); err != nil {
			const form = "docker-py cannot read %s, and every Docker task fails: entry auths[%q] %w"
			config.err = failure.Permanent(BadEntry, form, path, key, err).About(path)
		}
	}
	return config, nil
}

// checkEntry returns why docker-py cannot read an auths entry (docker/auth.py, parse_auth): its base64 skips what is
// not of the alphabet.
func checkEntry(entry json.RawMessage) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(entry, &fields) != nil || fields == nil {
		return errors.New("is not an object")
	}
	if fields["auth"] == nil || fields["identitytoken"] != nil {
		return nil
	}
	var auth string
	_ = json.Unmarshal(fields["auth"], &auth) // docker-py cannot decode what is not a string
	login, err := base64.StdEncoding.DecodeString(regexp.MustCompile(`[^A-Za-z0-9+/=]`).ReplaceAllString(auth, ""))
	if err != nil || !strings.Contains(string(login), ":") {
		return errors.New(`has an "auth" that is not user:password in base64`)
	}
	return nil
}

// Check returns what docker-py 7 would do with a login (docker/auth.py, resolve_authconfig; testdata/docker_config.json
// holds what it did) at server, the connection's host and port, for images of registry. It asks a helper or store
// before it uses the fresh login: that fails, or its own login wins. It keeps the fresh login under server as written,
// and a pull looks for registry first: with a scheme or a port in server it finds an old auths entry instead. warning
// is for what does no harm to the names of images that people write, err for what does.
func (c Config) Check(ctx context.Context, server, registry string) (warning, err error) {
	if c.err != nil {
		return nil, c.err
	}
	if err := c.checkHelpers(ctx, server, registry); err != nil {
		return nil, err
	}
	for _, key := range c.auths {
		if hostname(key) != registry || key == server && server != registry {
			continue
		}
		if server != registry {
			entry := fmt.Sprintf("auths[%q]", key)
			return nil, c.wins(registry, entry, "since the connection's host is not the bare registry")
		}
		const form = "%s has an auths entry %q: harmless while the connection's extra does not turn reauth off"
		warning = failure.Permanent(HarmlessEntry, form, c.path, key).About(registry)
	}
	if hostname(server) != registry {
		const form = "the connection makes Docker log in to %q: an image named %s/… is pulled without this login"
		warning = failure.Permanent(OtherServer, form, server, registry).About(registry)
	}
	return warning, nil
}

// checkHelpers asks the helpers that the login and a pull ask. Only for a pull does it matter what they have.
func (c Config) checkHelpers(ctx context.Context, server, registry string) error {
	for _, key := range slices.Compact([]string{registry, server}) {
		name, entry := c.credHelpers[key], fmt.Sprintf("credHelpers[%q]", key)
		if name == "" {
			name, entry = c.credsStore, "credsStore"
		}
		if name == "" {
			continue
		}
		entry = fmt.Sprintf("%s = %q", entry, name)
		found, err := askHelper(ctx, name, key)
		if err != nil {
			return fmt.Errorf("docker-py asks %s before the fresh login, entry %s: %w", c.path, entry, err)
		}
		if found && key == registry {
			return c.wins(registry, entry, "since that helper has a login for it")
		}
	}
	return nil
}

// askHelper reports whether the credential helper docker-credential-NAME has a login for server, by docker-py's rules
// (docker/credentials/store.py): output that contains "credentials not found", and an empty login, mean that it has
// none. What the helper prints may be a secret, and is not repeated.
func askHelper(ctx context.Context, name, server string) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // docker-py would wait for ever
	defer cancel()
	program := "docker-credential-" + name
	cmd := exec.CommandContext(ctx, program, "get") // #nosec G204 -- docker-py runs it too
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(server), time.Second
	output, err := cmd.Output()
	var login struct{ Username, Secret string }
	if err == nil {
		err = json.Unmarshal(output, &login)
	} else if strings.Contains(string(output), "credentials not found in native keychain") {
		return false, nil
	}
	if err == nil {
		return login.Username != "" || login.Secret != "", nil
	}
	why := "fails"
	if ctx.Err() != nil {
		why = "does not answer"
	} else if errors.Is(err, exec.ErrNotFound) {
		why = "is not on PATH"
	}
	return false, failure.Permanent(HelperFails, "%s %s", program, why).About(program).Want(server)
}

func (c Config) wins(registry, entry, why string) error {
	const form = "docker-py asks %s before the fresh login: entry %s overrides the connection, %s"
	return failure.Permanent(EntryWins, form, c.path, entry, why).About(c.path).Want(registry)
}

// hostname is docker-py's convert_to_hostname, which keeps a port.
func hostname(key string) string {
	host, _, _ := strings.Cut(strings.NewReplacer("https://", "", "http://", "").Replace(key), "/")
	return host
}
