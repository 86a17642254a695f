package airflowclient

import (
	"context"
	"net/http"
)

// Pool is a pool of slots, in which tasks wait for their turn. A task whose pool is missing waits for ever.
type Pool struct {
	Name            string
	Slots           int
	Description     string
	IncludeDeferred bool // deferred tasks take slots too
}

// Pool reads one pool, or gives ErrNotFound.
func (c *Client) Pool(ctx context.Context, name string) (Pool, error) {
	if err := checkName(name); err != nil {
		return Pool{}, err
	}
	var row PoolResponse
	err := c.find(ctx, missing("pool"), name, &row, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetPool(ctx, name, edit...)
	})
	return Pool{Name: row.Name, Slots: row.Slots, Description: value(row.Description), IncludeDeferred: row.IncludeDeferred}, err
}

// CreatePool makes a pool that is not there yet.
func (c *Client) CreatePool(ctx context.Context, p Pool) error {
	return c.call(ctx, new(PoolResponse), func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.PostPool(ctx, PoolBody{
			Name: p.Name, Slots: p.Slots, Description: unlessEmpty(p.Description), IncludeDeferred: &p.IncludeDeferred,
		}, edit...)
	})
}

// UpdatePool makes a pool what p says: change what Pool gave. Airflow wants all fields in every update, whatever its
// document says; up to 3.0 the description, too.
func (c *Client) UpdatePool(ctx context.Context, p Pool) error {
	if err := checkName(p.Name); err != nil {
		return err
	}
	body := PoolPatchBody{Pool: &p.Name, Slots: &p.Slots, Description: &p.Description, IncludeDeferred: &p.IncludeDeferred}
	return c.find(ctx, missing("pool"), p.Name, new(PoolResponse), func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.PatchPool(ctx, p.Name, body, edit...)
	})
}
