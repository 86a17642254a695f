package airflowclient

import (
	"context"
	"maps"

	"golang.org/x/sync/errgroup"
)

// fewConnections are read one by one: more of them, page by page, cost fewer calls.
const fewConnections = 3

// ConnectionsByID reads connections of the metadata database. Each id is in the first map, or in the second with the
// error: ErrNotFound, or why Airflow could not be asked.
func (c *Client) ConnectionsByID(ctx context.Context, ids []string) (map[string]Connection, map[string]error) {
	if len(ids) <= fewConnections {
		return c.oneByOne(ctx, ids)
	}
	first, err := c.page(ctx, 0)
	found, rest := pick(first.rows(), ids)
	if err != nil {
		return found, failedAll(rest, err)
	}
	if size := len(first.Connections); size > 0 && len(rest)*size > first.TotalEntries-size {
		all, err := c.pagesFrom(ctx, first)
		more, rest := pick(all, rest)
		maps.Copy(found, more)
		return found, failedAll(rest, err)
	}
	more, failed := c.oneByOne(ctx, rest) // in fewer calls than the other pages take
	maps.Copy(found, more)
	return found, failed
}

// pick parts ids into those of all, and the rest.
func pick(all []Connection, ids []string) (found map[string]Connection, rest []string) {
	byID := make(map[string]Connection, len(all))
	for _, conn := range all {
		byID[conn.ID] = conn
	}
	found = map[string]Connection{}
	for _, id := range ids {
		if conn, ok := byID[id]; ok {
			found[id] = conn
		} else {
			rest = append(rest, id)
		}
	}
	return found, rest
}

// failedAll gives each id an error: that it was not found where there is no other.
func failedAll(ids []string, err error) map[string]error {
	failed := map[string]error{}
	for _, id := range ids {
		failed[id] = err
		if err == nil {
			failed[id] = notFound(id)
		}
	}
	return failed
}

func (c *Client) oneByOne(ctx context.Context, ids []string) (map[string]Connection, map[string]error) {
	read := make([]Connection, len(ids))
	errs := make([]error, len(ids))
	var calls errgroup.Group
	calls.SetLimit(atOnce)
	for i, id := range ids {
		calls.Go(func() error {
			read[i], errs[i] = c.Connection(ctx, id)
			return nil
		})
	}
	_ = calls.Wait()
	found, failed := map[string]Connection{}, map[string]error{}
	for i, id := range ids {
		if errs[i] != nil {
			failed[id] = errs[i]
			continue
		}
		found[id] = read[i]
	}
	return found, failed
}
