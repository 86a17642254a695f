package airflowclient

import "context"

// Pool is a pool of slots, in which tasks wait for their turn. A task whose pool is missing waits for ever.
type Pool struct {
	Name            string
	Slots           int
	Description     string
	IncludeDeferred bool // deferred tasks take slots too
}

// Pool returns one pool, or ErrNotFound.
func (c *Client) Pool(ctx context.Context, name string) (Pool, error) {
	var row PoolResponse
	err := c.find(ctx, &row, NoPool, name)(NewGetPoolRequest(c.server, name))
	return Pool{row.Name, row.Slots, value(row.Description), row.IncludeDeferred}, err
}

// CreatePool creates a pool that does not exist yet.
func (c *Client) CreatePool(ctx context.Context, p Pool) error {
	body := PoolBody{unlessZero(p.Description), &p.IncludeDeferred, p.Name, p.Slots}
	return c.call(ctx, new(PoolResponse))(NewPostPoolRequest(c.server, body))
}

// UpdatePool makes a pool what p says: change what Pool returned. Airflow wants all fields in every update, whatever
// its OpenAPI document says; up to 3.0 the description, too.
func (c *Client) UpdatePool(ctx context.Context, p Pool) error {
	body := PoolPatchBody{&p.Description, &p.IncludeDeferred, &p.Name, &p.Slots}
	return c.find(ctx, new(PoolResponse), NoPool, p.Name)(NewPatchPoolRequest(c.server, p.Name, body))
}
