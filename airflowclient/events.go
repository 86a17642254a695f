package airflowclient

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ConnectionEvent is an entry of Airflow's event log (Browse > Audit Log): somebody changed connections. Airflow logs
// the call before it does it, so it may have failed: up to 3.0 only by its validation.
type ConnectionEvent struct {
	When  time.Time // by the clock of the API server; of Airflow's command line, by that of its host
	Event string    // patch_connection, bulk_connections, cli_connections_add …
	Owner string    // user name; of Airflow's command line, the OS user
	Extra *string   // not for anybody's eyes: Airflow has masked the passwords that it recognized
}

// connectionEvents are the entries about connections, which are the same in Airflow 3.0 to 3.3. The UI makes the calls
// of the REST API.
var connectionEvents = []string{
	"post_connection", "patch_connection", "delete_connection", "bulk_connections", "enqueue_connection_test",
	"cli_connections_add", "cli_connections_delete", "cli_connections_import",
}

// ConnectionEvents returns the entries after a time, the newest first. FAB's right is can_read on Audit Logs, which only
// its Admin has by default; every role of the SimpleAuthManager has it.
func (c *Client) ConnectionEvents(ctx context.Context, after time.Time) (all []ConnectionEvent, err error) {
	query := url.Values{"order_by": {"-event_log_id"}, "included_events": connectionEvents,
		"after": {after.UTC().Format(time.RFC3339Nano)}}.Encode()
	for {
		req, err := NewGetEventLogsRequest(c.server, &GetEventLogsParams{Limit: new(pageSize), Offset: new(len(all))})
		if err == nil {
			req.URL.RawQuery += "&" + query
		}
		var page struct {
			Events []ConnectionEvent `json:"event_logs"`
			Total  int               `json:"total_entries"`
		}
		err = c.call(ctx, &page, "Audit Logs")(req, err)
		for _, e := range page.Events {
			e.Event, e.Owner = c.scrubber.scrub(e.Event), c.scrubber.scrub(e.Owner)
			all = append(all, e)
		}
		if err != nil || len(page.Events) == 0 || len(all) >= page.Total {
			return all, err
		}
	}
}

// Concerns reports whether the entry is about a connection. Extra is the call's body, or its path for DELETE; of the
// command line it is argv in Python's notation. That of import names a file: any connection may be in it, and without
// --overwrite it changes none.
func (e ConnectionEvent) Concerns(id string) bool {
	type named struct {
		ID      string `json:"connection_id"`
		Command string `json:"full_command"`
		Actions []struct{ Entities []json.RawMessage }
	}
	var extra named
	if e.Extra == nil || json.Unmarshal([]byte(*e.Extra), &extra) != nil {
		return false
	}
	if e.Event == "cli_connections_import" {
		return strings.Contains(extra.Command, "'--overwrite'")
	}
	for _, action := range extra.Actions {
		if slices.ContainsFunc(action.Entities, func(text json.RawMessage) bool { // an object, or the id to delete
			var entity named
			return json.Unmarshal(text, &entity.ID) == nil && entity.ID == id ||
				json.Unmarshal(text, &entity) == nil && entity.ID == id
		}) {
			return true
		}
	}
	return extra.ID == id || strings.Contains(extra.Command, "'"+id+"'")
}
