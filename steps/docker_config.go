package steps

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// Check tells what docker-py 7 would do for a connection whose host is connHost (docker/auth.py, resolve_authconfig):
// a helper or store for the registry is asked before the fresh login, and wins or raises; a stale auths entry wins over
// a login whose connection writes the host with a scheme. warning is for an entry that does no harm; err for one that does.
func (c DockerConfig) Check(connHost, registryHost string) (warning string, err error) {
	for _, key := range []string{registryHost, "https://" + registryHost} {
		if helper := c.credHelpers[key]; helper != "" {
			return "", c.wins("credHelpers", key, helper)
		}
	}
	if c.credsStore != "" {
		return "", c.wins("credsStore", "", c.credsStore)
	}
	key, found := c.auth(registryHost)
	switch {
	case !found:
		return "", nil
	case strings.Contains(connHost, "://"):
		return "", c.wins("auths", key, "")
	}
	return fmt.Sprintf("%s has an auths entry %q: harmless while the connection's host is bare and its extra does not turn reauth off; better run: docker logout %s",
		c.path, key, registryHost), nil
}

// auth finds the entry of a registry however its key is written.
func (c DockerConfig) auth(registryHost string) (key string, found bool) {
	for key := range c.auths {
		bare := strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
		if host, _, _ := strings.Cut(bare, "/"); host == registryHost {
			return key, true
		}
	}
	return "", false
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
		"docker-py asks %s before the fresh login: entry %s wins over the connection", c.path, entry)
}
