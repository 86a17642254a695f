package steps

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"ecr-refresh/steps/failure"
)

// maxDockerConfig bounds what is read of a config.json.
const maxDockerConfig = 1 << 20

// DockerConfig is what docker-py, under Airflow's DockerHook, reads of ~/.docker/config.json before it uses a fresh
// login. No credential in it is kept.
type DockerConfig struct {
	path        string
	auths       map[string]json.RawMessage
	credsStore  string
	credHelpers map[string]string
}

// ReadDockerConfig reads the file at path; a missing one is an empty DockerConfig.
func ReadDockerConfig(path string) (DockerConfig, error) {
	config := DockerConfig{path: path}
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
	config.auths, config.credsStore, config.credHelpers = file.Auths, file.CredsStore, file.CredHelpers
	return config, nil
}

// Check tells what docker-py 7 would do for a connection whose host and port make server (docker/auth.py,
// resolve_authconfig; testdata/docker_config.json is what it did). A helper or store is asked before the fresh login,
// and wins or raises. The fresh login is kept under server as it is written, and a pull looks for registryHost first:
// with a scheme or a port in server, a stale auths entry is found before it. warning is for what does no harm to the
// image names that people write; err for what does.
func (c DockerConfig) Check(server, registryHost string) (warning string, err error) {
	for _, key := range []string{registryHost, server} {
		if helper := c.credHelpers[key]; helper != "" {
			return "", c.wins("credHelpers", key, helper)
		}
	}
	if c.credsStore != "" {
		return "", c.wins("credsStore", "", c.credsStore)
	}
	for _, key := range slices.Sorted(maps.Keys(c.auths)) {
		switch {
		case hostname(key) != registryHost:
		case server == registryHost:
			warning = fmt.Sprintf("%s has an auths entry %q: harmless while the connection's extra does not turn reauth off; better run: docker logout %s",
				c.path, key, registryHost)
		case key != server:
			return "", c.wins("auths", key, "")
		}
	}
	if hostname(server) != registryHost {
		warning = fmt.Sprintf("the connection makes Docker log in to %q: an image named %s/… is pulled without this login; leave the port empty", server, registryHost)
	}
	return warning, nil
}

// hostname is docker-py's convert_to_hostname: a port stays.
func hostname(key string) string {
	host, _, _ := strings.Cut(strings.NewReplacer("https://", "", "http://", "").Replace(key), "/")
	return host
}

func (c DockerConfig) wins(section, key, helper string) error {
	entry := section
	if key != "" {
		entry = fmt.Sprintf("%s[%q]", section, key)
	}
	if helper != "" {
		entry = fmt.Sprintf("%s = %q", entry, helper)
	}
	return failure.Permanent("remove this entry from the worker's file (docker logout, or edit it)",
		"docker-py asks %s before the fresh login: entry %s wins over the connection, or fails", c.path, entry)
}
