package peers

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Providers returns the versions of Airflow's providers beside an installed release, by their short names.
func Providers(release string) (map[string]string, error) {
	venv, err := installed(release)
	if err != nil {
		return nil, err
	}
	const prefix, suffix = "apache_airflow_providers_", ".dist-info"
	folders, _ := filepath.Glob(filepath.Join(venv, "lib", "python*", "site-packages", prefix+"*"+suffix))
	if len(folders) == 0 {
		return nil, fmt.Errorf("no providers in %s", venv)
	}
	versions := map[string]string{}
	for _, folder := range folders {
		base := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(folder), prefix), suffix)
		name, version, _ := strings.Cut(base, "-")
		versions[name] = version
	}
	return versions, nil
}
