package airflowclient

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

// masked is what Airflow shows instead of a password. Sent back, it means "keep what is stored", and is a success.
const masked = "***"

// Connection is a connection as Airflow shows it: a field that is null there is zero here.
type Connection struct {
	ID, Type, Host string
	Port           int
	Login, Schema  string
	HasPassword    bool   // Airflow never returns the password itself
	Extra          string // redacted by Airflow: never send it back
}

// Connection returns one connection of the metadata database. A connection that comes from an environment variable or a
// secrets backend is not there: ErrNotFound.
func (c *Client) Connection(ctx context.Context, id string) (Connection, error) {
	var row ConnectionResponse
	err := c.find(ctx, &row, NoConnection, id)(NewGetConnectionRequest(c.server, id))
	return row.connection(), err
}

func (r ConnectionResponse) connection() Connection {
	return Connection{
		ID: r.ConnectionId, Type: r.ConnType, Host: value(r.Host), Port: value(r.Port), Login: value(r.Login),
		Schema: value(r.Schema), HasPassword: r.Password != nil, Extra: value(r.Extra),
	}
}

// value returns what p points to, or zero.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// Update is what to write of a connection. A field that is empty is not sent: Airflow leaves it as it is, where it
// would wipe one that is sent as null.
type Update struct {
	ID, Type, Host             string // Airflow wants the type in every update: that of Connection
	Port                       int
	Login, Schema, Description string
	Password                   Secret
}

func (u Update) body() ConnectionBody {
	return ConnectionBody{
		ConnectionId: u.ID, ConnType: u.Type, Host: unlessZero(u.Host), Port: unlessZero(u.Port),
		Login: unlessZero(u.Login), Schema: unlessZero(u.Schema), Description: unlessZero(u.Description),
		Password: unlessZero(orEmpty(u.Password).Reveal()),
	}
}

func unlessZero[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// UpdateConnections writes the updates, in calls of up to 100; name each connection once. The map holds an error for
// each connection that was not updated. An update that would do nothing, or something else than it says, is not sent.
func (c *Client) UpdateConnections(ctx context.Context, updates []Update) map[string]error {
	failed := map[string]error{}
	var good []Update
	for _, u := range updates {
		if err := c.check(u); err != nil {
			failed[u.ID] = err
		} else if orEmpty(u.Password).Empty() {
			failed[u.ID] = badPassword(u.ID)
		} else {
			good = append(good, u)
		}
	}
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

// update is one call. By default one missing connection keeps all the others from being written: hence skip.
func (c *Client) update(ctx context.Context, updates []Update) map[string]error {
	var ids []string
	action := BulkUpdateActionConnectionBody{
		Action: BulkUpdateActionConnectionBodyActionUpdate, ActionOnNonExistence: new(BulkActionNotOnExistenceSkip),
	}
	for _, u := range updates {
		ids = append(ids, u.ID)
		action.Entities = append(action.Entities, u.body())
	}
	body := BulkBodyConnectionBody{Actions: []BulkUpdateActionConnectionBody{action}}
	var response BulkResponse
	err := c.call(ctx, &response)(NewBulkConnectionsRequest(c.server, body))
	if err == nil {
		return c.bulkFailures(value(response.Update), ids)
	}
	failed := map[string]error{}
	for _, id := range ids {
		failed[id] = err
	}
	return failed
}

// bulkFailures returns an error for each id that is not in the list of successes or is named by an error. An error that
// names none goes to all that did not succeed, or to all. (A bulk update answers 200 whatever happened, and a skipped
// connection is in neither list.)
func (c *Client) bulkFailures(result BulkActionResponse, ids []string) map[string]error {
	failed := map[string]error{}
	done := value(result.Success)
	missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(done, id) })
	for _, id := range missing {
		failed[id] = notFound(NoConnection, id)
	}
	for _, e := range value(result.Errors) {
		text, _ := e["error"].(string)
		status, _ := e["status_code"].(float64)
		blamed := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !mentions(text, id) })
		for _, others := range [][]string{missing, ids} {
			if len(blamed) == 0 {
				blamed = others
			}
		}
		for _, id := range blamed {
			failed[id] = c.bulkError(id, int(status), text)
		}
	}
	return failed
}

// bulkError returns the error of one entry of update.errors. One without a status is a validation error: Python's repr
// of the input, password included, so that nothing of it is repeated.
func (c *Client) bulkError(id string, status int, text string) error {
	switch status {
	case 0:
		return failf(Invalid, 0, id, "airflow did not update it: %s", invalid)
	case http.StatusNotFound:
		return notFound(NoConnection, id)
	}
	e := failf(kindOf(status), status, id, "%s", answered(status, c.scrubber.scrub(text)))
	if e.Kind == Forbidden {
		e.Object, e.Right = "Connections", "can_edit"
	}
	return e
}

// CreateConnection creates a connection that does not exist yet.
func (c *Client) CreateConnection(ctx context.Context, u Update) error {
	if err := c.check(u); err != nil {
		return err
	}
	return c.call(ctx, new(ConnectionResponse))(NewPostConnectionRequest(c.server, u.body()))
}

// PatchConnection changes the fields that u has, and sets port and schema to those of u, be they empty. Airflow wants
// the type in every update.
func (c *Client) PatchConnection(ctx context.Context, u Update) error {
	if err := c.check(u); err != nil {
		return err
	}
	body := u.body()
	text, _ := json.Marshal(patchBody{body, body.Port, body.Schema}) // strings and a number
	return c.find(ctx, new(ConnectionResponse), NoConnection, u.ID)(
		NewPatchConnectionRequestWithBody(c.server, u.ID, "application/json", bytes.NewReader(text)))
}

// patchBody has a null for a port or a schema that is to be emptied; the generated body leaves out what is empty.
type patchBody struct {
	ConnectionBody
	Port   *int    `json:"port"`
	Schema *string `json:"schema"`
}

// check checks what is to be written, and adds the password to the scrubber.
func (c *Client) check(u Update) error {
	password := orEmpty(u.Password)
	c.scrubber.add(password)
	switch {
	case u.Type == "":
		return failf(Invalid, 0, u.ID, "the connection's type is not given")
	case password.Reveal() == masked:
		return badPassword(u.ID)
	case !utf8.ValidString(password.Reveal()):
		return failf(BadPassword, 0, u.ID, "the new password is not UTF-8 and would be changed on its way")
	}
	return nil
}

func badPassword(id string) error {
	return failf(BadPassword, 0, id,
		"the new password is empty or %s, which Airflow would take for \"keep the old one\"", masked)
}
