package airflowclient

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// pageSize is Airflow's own limit of a page ([api] maximum_page_limit), whatever is asked for.
const pageSize = 100

// masked is what Airflow shows instead of a password. Sent back, it means "keep what is stored", and is a success.
const masked = "***"

// Connection is a connection as Airflow shows it: a field that is null there is zero here.
type Connection struct {
	ID, Type, Host             string
	Port                       int
	Login, Schema, Description string
	HasPassword                bool   // Airflow never gives the password itself
	Extra                      string // redacted by Airflow: never send it back
}

// Connection reads one connection of the metadata database. A connection that comes from an environment variable or a
// secrets backend is not there: ErrNotFound.
func (c *Client) Connection(ctx context.Context, id string) (Connection, error) {
	if err := checkID(id); err != nil {
		return Connection{}, err
	}
	a, err := c.authorized(ctx, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetConnection(ctx, id, edit...)
	})
	if err != nil {
		return Connection{}, err
	}
	// An unknown route is 404 too, but does not name the connection.
	if a.status == http.StatusNotFound && named(a.words(), []string{id}) != nil {
		return Connection{}, notFound(id)
	}
	var row ConnectionResponse
	if err := c.decode(a, &row); err != nil {
		return Connection{}, err
	}
	return row.connection(), nil
}

// How many calls a client has under way where one does not need the other's answer. Updates are the longer ones: on an
// Airflow that answers slowly, with one process, more of them would only make each other late.
const (
	atOnce        = 4
	updatesAtOnce = 2
)

// Connections reads all connections of the metadata database, in pages: the first tells how many there are.
func (c *Client) Connections(ctx context.Context) ([]Connection, error) {
	first, err := c.page(ctx, 0)
	if err != nil {
		return nil, err
	}
	return c.pagesFrom(ctx, first)
}

// pagesFrom gives the first page's connections and those of all others.
func (c *Client) pagesFrom(ctx context.Context, first ConnectionCollectionResponse) ([]Connection, error) {
	size := len(first.Connections) // an Airflow may be set to shorter pages than were asked for
	if size == 0 {
		return nil, nil
	}
	pages := make([]ConnectionCollectionResponse, max(1, (first.TotalEntries+size-1)/size))
	pages[0] = first
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(atOnce)
	for i := 1; i < len(pages); i++ {
		calls.Go(func() (err error) {
			pages[i], err = c.page(ctx, i*size)
			return err
		})
	}
	if err := calls.Wait(); err != nil {
		return nil, err
	}
	var all []Connection
	for _, page := range pages {
		all = append(all, page.rows()...)
	}
	return all, nil
}

func (r ConnectionCollectionResponse) rows() (all []Connection) {
	for _, row := range r.Connections {
		all = append(all, row.connection())
	}
	return all
}

func (c *Client) page(ctx context.Context, offset int) (ConnectionCollectionResponse, error) {
	var page ConnectionCollectionResponse
	limit := pageSize
	err := c.call(ctx, &page, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetConnections(ctx, &GetConnectionsParams{Limit: &limit, Offset: &offset}, edit...)
	})
	return page, err
}

func (r ConnectionResponse) connection() Connection {
	return Connection{
		ID: r.ConnectionId, Type: r.ConnType, Host: value(r.Host), Port: value(r.Port), Login: value(r.Login),
		Schema: value(r.Schema), Description: value(r.Description), HasPassword: r.Password != nil, Extra: value(r.Extra),
	}
}

func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// Update is a new password for a connection, and what has to go with it.
type Update struct {
	ID       string
	Type     string // Airflow wants it in every update: give the one that Connection told
	Login    string // "": leave it as it is
	Password secret.Secret
}

// bulkSize is how many connections one call updates: a token has 2.4 kB.
const bulkSize = 100

// UpdateConnections writes the updates, in calls of up to 100. The map holds an error for each connection that was not
// updated, and nothing for the others. An update that would do nothing, or something else than it says, is not sent.
// Sending the same updates twice does no harm.
func (c *Client) UpdateConnections(ctx context.Context, updates []Update) map[string]error {
	failed := map[string]error{}
	var entities []ConnectionBody
	times := map[string]int{}
	for _, u := range updates {
		times[u.ID]++
	}
	for _, u := range updates {
		err := u.check()
		if err == nil && times[u.ID] > 1 {
			err = failure.Permanent("name each connection once", "it is to be updated twice")
		}
		if err != nil {
			failed[u.ID] = err
			continue
		}
		c.hidden.add(u.Password)
		entities = append(entities, u.body())
	}
	for _, part := range c.updateAll(ctx, slices.Collect(slices.Chunk(entities, bulkSize))) {
		maps.Copy(failed, part)
	}
	return failed
}

// updateAll makes a call for each chunk, and gives what failed of each.
func (c *Client) updateAll(ctx context.Context, chunks [][]ConnectionBody) []map[string]error {
	failed := make([]map[string]error, len(chunks))
	var calls errgroup.Group
	calls.SetLimit(updatesAtOnce)
	for i, chunk := range chunks {
		failed[i] = map[string]error{}
		calls.Go(func() error {
			c.update(ctx, chunk, failed[i])
			return nil
		})
	}
	_ = calls.Wait()
	return failed
}

// update is one call. Where it fails as a whole, it fails for each connection.
func (c *Client) update(ctx context.Context, entities []ConnectionBody, failed map[string]error) {
	var answer BulkResponse
	err := c.call(ctx, &answer, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.BulkConnections(ctx, updateOf(entities), edit...)
	})
	if err == nil {
		c.judge(answer.Update, entities, failed)
		return
	}
	for _, e := range entities {
		failed[e.ConnectionId] = err
	}
}

func (u Update) check() error {
	if err := checkID(u.ID); err != nil {
		return err
	}
	password := u.Password.Reveal()
	switch {
	case u.Type == "":
		return failure.Permanent("", "the connection's type is not given")
	case password == "" || password == masked:
		return failure.Permanent("this is a fault of the document or of its producer: run extract_ecr_token again",
			"the new password is empty or %s, which Airflow would take for \"keep the old one\"", masked)
	case !utf8.ValidString(password):
		return failure.Permanent("", "the new password is not UTF-8 and would be changed on its way")
	}
	return nil
}

// body holds what is to change and nothing else: Airflow leaves a field alone that is not sent, and wipes one that is
// sent as null.
func (u Update) body() ConnectionBody {
	password := u.Password.Reveal()
	body := ConnectionBody{ConnectionId: u.ID, ConnType: u.Type, Password: &password}
	if u.Login != "" {
		body.Login = &u.Login
	}
	return body
}

// updateOf asks to skip missing connections: by default one of them keeps all the others from being written.
func updateOf(entities []ConnectionBody) BulkBodyConnectionBody {
	skip := BulkActionNotOnExistenceSkip
	return BulkBodyConnectionBody{Actions: []BulkUpdateActionConnectionBody{{
		Action: BulkUpdateActionConnectionBodyActionUpdate, ActionOnNonExistence: &skip, Entities: entities,
	}}}
}

// judge adds an error to failed for each connection that is not in the list of successes or is named by an error. An
// error that names none goes to all that did not succeed, or to all. (A bulk update answers 200 whatever happened, and
// a skipped connection stands in neither list.)
func (c *Client) judge(result *BulkActionResponse, sent []ConnectionBody, failed map[string]error) {
	if result == nil {
		result = &BulkActionResponse{}
	}
	var missing, all []string
	done := map[string]bool{}
	for _, id := range value(result.Success) {
		done[id] = true
	}
	for _, s := range sent {
		all = append(all, s.ConnectionId)
		if !done[s.ConnectionId] {
			missing = append(missing, s.ConnectionId)
		}
	}
	for _, id := range missing {
		failed[id] = notFound(id)
	}
	for _, e := range value(result.Errors) {
		text, _ := e["error"].(string)
		for _, id := range firstNotEmpty(named(text, all), missing, all) {
			failed[id] = c.bulkError(id, e)
		}
	}
}

// bulkError judges one entry of update.errors. One without a status is a validation error: Python's repr of the input,
// password included, so that nothing of it is repeated.
func (c *Client) bulkError(id string, entry map[string]any) error {
	status, _ := entry["status_code"].(float64)
	text, _ := entry["error"].(string)
	switch {
	case status == http.StatusNotFound:
		return notFound(id)
	case status == 0:
		return failure.Permanent("", "airflow did not update it: %s", invalid)
	}
	return classified(int(status), "", answered(int(status), c.scrub(text)))
}

// named gives those ids that stand in text as a whole word.
func named(text string, ids []string) []string {
	words := map[string]bool{}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !idRune(r) }) {
		words[word] = true
	}
	var found []string
	for _, id := range ids {
		if words[id] {
			found = append(found, id)
		}
	}
	return found
}

func firstNotEmpty(lists ...[]string) []string {
	for _, list := range lists {
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

// checkID holds ids to Airflow's own pattern, ^[\w.-]+$ and at most 200 characters. "." and ".." fit the pattern too,
// but in a path they name another resource.
func checkID(id string) error {
	n := utf8.RuneCountInString(id)
	if n == 0 || n > 200 || id == "." || id == ".." || strings.ContainsFunc(id, func(r rune) bool { return !idRune(r) }) {
		return failure.Permanent("a connection id has letters, digits, \"_\", \"-\" and \".\", at most 200 of them",
			"%q is not a connection id", failure.Cut(id))
	}
	return nil
}

func idRune(r rune) bool {
	return r == '.' || r == '-' || r != utf8.RuneError && unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Pc)
}
