package peers

import "context"

// MarkFailed sets a running task's state as Airflow's UI does.
func (a *Airflow) MarkFailed(ctx context.Context, dag, run, task string) error {
	path := runPath(dag, run) + "/taskInstances/" + task + "?update_mask=new_state"
	return a.rest.call(ctx, "PATCH", path, map[string]any{
		"new_state": "failed", "include_upstream": false, "include_downstream": false, "include_future": false,
		"include_past": false,
	}, nil)
}
