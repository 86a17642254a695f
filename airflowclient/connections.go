package airflowclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

const (
	pageSize       = 100 // Airflow's own limit ([api] maximum_page_limit), whatever is asked for
	fewConnections = 3   // are read one by one: more of them cost fewer calls in pages
	bulkSize       = 100 // connections that one call updates: a token has 2.4 kB

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
// error: ErrNotFound, or why Airflow could not be asked. The first map may hold other connections, too: for more than a
// few ids it reads the pages of all, unless these are more than the ids, and one by one what they do not show.
func (c *Client) ConnectionsByID(ctx context.Context, ids []string) (map[string]Connection, map[string]error) {
	found, failed := map[string]Connection{}, map[string]error{}
	var err error
	for offset, more := 0, len(ids) > fewConnections; more; {
		params := GetConnectionsParams{Limit: new(pageSize), Offset: &offset}
		var page struct {
			Connections  list[Connection]
			TotalEntries int `json:"total_entries"`
		}
		err = c.call(ctx, &page, "Connections")(NewGetConnectionsRequest(c.server, &params))
		for _, conn := range page.Connections {
			found[conn.ID] = conn
		}
		size := len(page.Connections) // an Airflow may be set to shorter pages than were asked for
		offset += size
		more = err == nil && size > 0 && offset < page.TotalEntries && (page.TotalEntries-offset)/size < len(ids)
	}
	for _, id := range ids {
		conn, listed := found[id]
		unread := err
		if !listed && err == nil {
			conn, unread = c.Connection(ctx, id)
		}
		if listed || unread == nil {
			found[id] = conn
		} else {
			failed[id] = unread
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
	password := u.Password.Reveal()
	if password == masked || password == "" && needsPassword || !utf8.ValidString(password) {
		return failure.Permanent(BadPassword, "the new password is empty, %s or not UTF-8", masked).About(u.ID)
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
	var good []Update
	for _, u := range updates {
		if err := check(u, true); err != nil {
			failed[u.ID] = err
		} else {
			good = append(good, u)
		}
	}
	for part := range slices.Chunk(good, bulkSize) {
		maps.Copy(failed, c.update(ctx, part))
	}
	return failed
}

// update is one call. By default one missing connection keeps all the others from being written: hence skip. The call
// is answered 200 whatever happened. Airflow ends it at its first error: what is not in the list of successes has that
// error, or it was skipped (handle_bulk_update in core_api/services/public/connections.py).
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
	failed := map[string]error{}
	for _, u := range updates {
		switch {
		case err != nil:
			failed[u.ID] = err
		case slices.Contains(result.Update.Success, u.ID):
		case len(result.Update.Errors) > 0:
			failed[u.ID] = result.Update.Errors[0].failure().About(u.ID)
		default:
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

func (e bulkError) failure() *failure.Error {
	if e.Status == 0 {
		return failure.Permanent(Invalid, "airflow did not update it: %s", invalid)
	}
	return refusal{"airflow", e.Status, e.Error}.failure()
}
