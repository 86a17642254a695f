package airflowclient

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	pageSize       = 100 // Airflow's own limit ([api] maximum_page_limit), whatever is asked for
	fewConnections = 3   // are read one by one: more of them cost fewer calls in pages
	atOnce         = 4   // calls under way where one does not need the other's answer
	bulkSize       = 100 // connections that one call updates: a token has 2.4 kB
	updatesAtOnce  = 2   // more would only delay one another on an Airflow with one process
)

// ConnectionsByID reads connections of the metadata database. Each id is in the first map, or in the second with the
// error: ErrNotFound, or why Airflow could not be asked. The first map may hold other connections, too.
func (c *Client) ConnectionsByID(ctx context.Context, ids []string) (map[string]Connection, map[string]error) {
	found, failed := map[string]Connection{}, map[string]error{}
	if len(ids) > fewConnections {
		all, err := c.readPages(ctx, ids, found)
		ids = missing(ids, found)
		if all || err != nil {
			for _, id := range ids {
				failed[id] = cmp.Or(err, error(notFound(NoConnection, id)))
			}
			return found, failed
		}
	}
	var mu sync.Mutex
	var calls errgroup.Group
	calls.SetLimit(atOnce)
	for _, id := range ids {
		calls.Go(func() error {
			conn, err := c.Connection(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			if failed[id] = err; err == nil {
				delete(failed, id)
				found[id] = conn
			}
			return nil
		})
	}
	_ = calls.Wait()
	return found, failed
}

func missing(ids []string, found map[string]Connection) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return found[id].ID == id })
}

// readPages adds the first page of all connections to found, and the others too where these are fewer calls than one
// for each of ids that is left. It reports whether it has read them all.
func (c *Client) readPages(ctx context.Context, ids []string, found map[string]Connection) (all bool, err error) {
	first, err := c.page(ctx, 0)
	size := len(first.Connections) // an Airflow may be set to shorter pages than were asked for
	if err != nil || size == 0 {
		return false, err
	}
	first.addTo(found)
	pages := make([]ConnectionCollectionResponse, (max(size, first.TotalEntries)-1)/size) // behind the first
	if len(missing(ids, found)) < len(pages) {
		return false, nil
	}
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(atOnce)
	for i := range pages {
		calls.Go(func() (err error) {
			pages[i], err = c.page(ctx, (i+1)*size)
			return err
		})
	}
	err = calls.Wait()
	for _, page := range pages {
		page.addTo(found)
	}
	return err == nil, err
}

func (c *Client) page(ctx context.Context, offset int) (page ConnectionCollectionResponse, err error) {
	params := GetConnectionsParams{Limit: new(pageSize), Offset: &offset}
	err = c.call(ctx, &page)(NewGetConnectionsRequest(c.server, &params))
	return page, err
}

func (r ConnectionCollectionResponse) addTo(found map[string]Connection) {
	for _, row := range r.Connections {
		found[row.ConnectionId] = row.connection()
	}
}
