package airflowclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

const (
	pageSize       = 100 // Airflow's own limit ([api] maximum_page_limit), whatever is asked for
	fewConnections = 3   // are read one by one: more of them cost fewer calls in pages
	bulkSize       = 100 // connections that one call updates: a token has 2.4 kB
	updatesAtOnce  = 2   // more would only delay one another on an Airflow with one process

	masked = "***" // shown instead of a password; sent back, it means "keep what is stored", and is a success
)

// Connection is a connection as Airflow shows it: a field that is null there is zero here.
type Connection struct {
	ID                  string         `json:"connection_id"`
	Type                untrusted.Text `json:"conn_type"`
	Host, Login, Schema untrusted.Text
	Port                int
	Password            *json.RawMessage // nil: there is none; Airflow never returns the password itself
	Extra               untrusted.Text   // JSON
}

// Connection returns one connection of the metadata database, or ErrNotFound. One from elsewhere is not there.
func (c *Client) Connection(ctx context.Context, id string) (conn Connection, err error) {
	err = c.call(ctx, &conn, "Connections", id)(NewGetConnectionRequest(c.server, id))
	return conn, err
}

// ConnectionsByID reads connections of the metadata database. Each id is in the first map, or in the second with the
// error: ErrNotFound, or why Airflow could not be asked. The first map may hold other connections, too. It reads pages
// of all connections while these are no more than the ids that are missing, and the rest one by one.
func (c *Client) ConnectionsByID(ctx context.Context, ids []string) (map[string]Connection, map[string]error) {
	found, failed := map[string]Connection{}, map[string]error{}
	missing := slices.Clone(ids)
	for offset, pages := 0, fewConnections+1; len(missing) >= pages; {
		params := GetConnectionsParams{Limit: new(pageSize), Offset: &offset}
		var page struct {
			Connections  list[Connection]
			TotalEntries int `json:"total_entries"`
		}
		err := c.call(ctx, &page, "Connections")(NewGetConnectionsRequest(c.server, &params))
		for _, conn := range page.Connections {
			found[conn.ID] = conn
		}
		missing = slices.DeleteFunc(missing, func(id string) bool { return found[id].ID == id })
		size := len(page.Connections) // an Airflow may be set to shorter pages than were asked for
		offset += size
		if err == nil && offset == 0 { // a list that shows nothing may hide what is there
			break
		}
		if err != nil || size == 0 || offset >= page.TotalEntries {
			for _, id := range missing {
				failed[id] = cmp.Or(err, notFound(NoConnection, id))
			}
			return found, failed
		}
		pages = (page.TotalEntries-offset-1)/size + 1
	}
	for _, id := range missing {
		if conn, err := c.Connection(ctx, id); err == nil {
			found[id] = conn
		} else {
			failed[id] = err
		}
	}
	return found, failed
}

// Update is what to write of a connection. A field that is empty is not sent, and so left as it is; null would wipe it.
type Update struct {
	ID, Type, Host string // Airflow wants the type in every update: that of Connection
	Port           int
	Login, Schema  string
	Password       secret.Secret
	Extra          string // JSON
}

func (u Update) body() ConnectionBody {
	return ConnectionBody{
		ConnectionId: u.ID, ConnType: u.Type, Host: unlessZero(u.Host), Port: unlessZero(u.Port),
		Login: unlessZero(u.Login), Schema: unlessZero(u.Schema),
		Password: unlessZero(u.Password.Reveal()), Extra: unlessZero(u.Extra),
	}
}

func unlessZero[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// check checks what is to be written.
func check(u Update, needsPassword bool) error {
	switch password := u.Password.Reveal(); {
	case u.Type == "":
		return failure.Permanent(Invalid, "the connection's type is not given").About(u.ID)
	case password == masked || password == "" && needsPassword:
		const form = "the new password is empty or %s, which Airflow would take for \"keep the old one\""
		return failure.Permanent(BadPassword, form, masked).About(u.ID)
	case !utf8.ValidString(password):
		const form = "the new password is not UTF-8 and would be changed on its way"
		return failure.Permanent(BadPassword, form).About(u.ID)
	}
	return nil
}

// PutConnection changes the fields that u has, and port and schema even to none; or it creates the connection.
func (c *Client) PutConnection(ctx context.Context, u Update) error {
	if err := check(u, false); err != nil {
		return err
	}
	var body struct { // with null for an empty port or schema, where ConnectionBody leaves it out
		ConnectionBody
		Port   *int    `json:"port"`
		Schema *string `json:"schema"`
	}
	body.ConnectionBody, body.Port, body.Schema = u.body(), unlessZero(u.Port), unlessZero(u.Schema)
	text, _ := json.Marshal(body) // strings and a number
	err := c.call(ctx, new(struct{}), "Connections", u.ID)(
		NewPatchConnectionRequestWithBody(c.server, u.ID, "application/json", bytes.NewReader(text)))
	if errors.Is(err, ErrNotFound) {
		err = c.call(ctx, new(struct{}), "Connections")(NewPostConnectionRequest(c.server, u.body()))
	}
	return err
}

// UpdateConnections writes the updates, in calls of up to 100; name each connection once. The map holds an error for
// each connection that was not updated. An update that would do nothing, or something else than it says, is not sent.
func (c *Client) UpdateConnections(ctx context.Context, updates []Update) map[string]error {
	failed := map[string]error{}
	good := slices.DeleteFunc(slices.Clone(updates), func(u Update) bool {
		err := check(u, true)
		if err != nil {
			failed[u.ID] = err
		}
		return err != nil
	})
	var mu sync.Mutex
	var calls errgroup.Group
	calls.SetLimit(updatesAtOnce)
	for part := range slices.Chunk(good, bulkSize) {
		calls.Go(func() error {
			errs := c.update(ctx, part)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(failed, errs)
			return nil
		})
	}
	_ = calls.Wait()
	return failed
}

// update is one call. By default one missing connection keeps all the others from being written: hence skip. The call
// is answered 200 whatever happened: what is not in the list of successes has failed, or it was skipped.
func (c *Client) update(ctx context.Context, updates []Update) map[string]error {
	action := BulkUpdateActionConnectionBody{
		Action: BulkUpdateActionConnectionBodyActionUpdate, ActionOnNonExistence: new(BulkActionNotOnExistenceSkip),
	}
	for _, u := range updates {
		action.Entities = append(action.Entities, u.body())
	}
	body := BulkBodyConnectionBody{Actions: []BulkUpdateActionConnectionBody{action}}
	var result struct {
		Update struct {
			Success list[string]
			Errors  list[bulkError]
		}
	}
	err := c.call(ctx, &result, "Connections")(NewBulkConnectionsRequest(c.server, body))
	done, errs := result.Update.Success, result.Update.Errors
	// An error that names no connection is of all that did not succeed, or of all.
	ofNone := slices.IndexFunc(errs, func(e bulkError) bool { return !slices.ContainsFunc(updates, e.names) })
	failed := map[string]error{}
	for _, u := range updates {
		succeeded := slices.Contains(done, u.ID)
		at := slices.IndexFunc(errs, func(e bulkError) bool { return e.names(u) })
		if at < 0 && (!succeeded || len(done) == len(updates)) {
			at = ofNone
		}
		switch {
		case err != nil:
			failed[u.ID] = err
		case at >= 0:
			failed[u.ID] = c.skipped(u.ID, errs[at])
		case !succeeded:
			failed[u.ID] = notFound(NoConnection, u.ID)
		}
	}
	return failed
}

// bulkError is an entry of update.errors. One without a status is Python's repr of the input, password included.
type bulkError struct {
	Error  untrusted.Text
	Status int `json:"status_code"`
}

func (e bulkError) names(u Update) bool { return mentions(e.Error.Raw(), u.ID) }

// skipped returns the error of a connection that a bulk update has not updated.
func (c *Client) skipped(id string, of bulkError) error {
	switch of.Status {
	case 0:
		return failure.Permanent(Invalid, "airflow did not update it: %s", invalid).About(id)
	case http.StatusNotFound:
		return notFound(NoConnection, id)
	}
	err := refusal{"airflow", of.Status, of.Error}.failure()
	if err.Kind == Forbidden {
		return c.forbidden(err, "Connections", "can_edit")
	}
	return err.About(id)
}
