package airflowclient

import "context"

// fewConnections are read one by one: more of them, page by page, cost fewer calls.
const fewConnections = 3

// ConnectionsByID reads connections of the metadata database. Each id is in the first map, or in the second with the
// error: ErrNotFound, or why Airflow could not be asked.
func (c *Client) ConnectionsByID(ctx context.Context, ids []string) (map[string]Connection, map[string]error) {
	if len(ids) > fewConnections {
		return c.amongAll(ctx, ids)
	}
	found, failed := map[string]Connection{}, map[string]error{}
	for _, id := range ids {
		conn, err := c.Connection(ctx, id)
		if err != nil {
			failed[id] = err
			continue
		}
		found[id] = conn
	}
	return found, failed
}

func (c *Client) amongAll(ctx context.Context, ids []string) (map[string]Connection, map[string]error) {
	found, failed := map[string]Connection{}, map[string]error{}
	all, err := c.Connections(ctx)
	byID := make(map[string]Connection, len(all))
	for _, conn := range all {
		byID[conn.ID] = conn
	}
	for _, id := range ids {
		conn, ok := byID[id]
		switch {
		case err != nil:
			failed[id] = err
		case !ok:
			failed[id] = notFound(id)
		default:
			found[id] = conn
		}
	}
	return found, failed
}
