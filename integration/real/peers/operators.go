package peers

import (
	"context"
	"fmt"
)

// MarkFailed sets a running task's state as Airflow's UI does.
func (a *Airflow) MarkFailed(ctx context.Context, dag, run, task string) error {
	path := runPath(dag, run) + "/taskInstances/" + task + "?update_mask=new_state"
	return a.rest.call(ctx, "PATCH", path, map[string]any{
		"new_state": "failed", "include_upstream": false, "include_downstream": false, "include_future": false,
		"include_past": false,
	}, nil)
}

// ProviderVersion returns the installed version of a provider, such as apache-airflow-providers-docker.
func (a *Airflow) ProviderVersion(ctx context.Context, name string) (string, error) {
	var answer struct {
		Providers []struct {
			Name    string `json:"package_name"`
			Version string
		}
	}
	if err := a.rest.call(ctx, "GET", "/api/v2/providers?limit=100", nil, &answer); err != nil {
		return "", err
	}
	for _, p := range answer.Providers {
		if p.Name == name {
			return p.Version, nil
		}
	}
	return "", fmt.Errorf("airflow has no provider %s", name)
}
