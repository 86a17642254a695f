package airflowclient

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"ecr-refresh/steps/untrusted"
)

// ConnectionEvent is an entry of Airflow's event log (Browse > Audit Log): somebody changed connections. Airflow logs a
// call before it does it, so one that failed then is there, too.
type ConnectionEvent struct {
	When  time.Time      // by the clock of the API server; of Airflow's command line, by that of its host
	Event untrusted.Text // patch_connection, bulk_connections, cli_connections_add …
	Owner untrusted.Text // user name; of Airflow's command line, the OS user
	Extra string         // as Python's json.dumps writes it; never shown: only passwords that Airflow knows are masked
}

// maxEvents is how many entries are read: with 1,000 connections, four runs a day leave 40.
const maxEvents = 1000

// ConnectionEvents returns the entries after a time, the newest first: those of Airflow 3.0 to 3.3. The UI makes the
// calls of the REST API.
func (c *Client) ConnectionEvents(ctx context.Context, after time.Time) (all []ConnectionEvent, err error) {
	query := url.Values{"order_by": {"-event_log_id"}, "after": {after.UTC().Format(time.RFC3339Nano)},
		"included_events": {"post_connection", "patch_connection", "delete_connection", "bulk_connections",
			"enqueue_connection_test", "cli_connections_add", "cli_connections_delete", "cli_connections_import"},
	}.Encode()
	for {
		req, err := NewGetEventLogsRequest(c.server, &GetEventLogsParams{Limit: new(pageSize), Offset: new(len(all))})
		if err == nil {
			req.URL.RawQuery += "&" + query
		}
		var page struct {
			Events list[ConnectionEvent] `json:"event_logs"`
			Total  int                   `json:"total_entries"`
		}
		err = c.call(ctx, &page, "Audit Logs")(req, err)
		all = append(all, page.Events...)
		if err != nil || len(page.Events) == 0 || len(all) >= min(page.Total, maxEvents) {
			return all, err
		}
	}
}

// Concerns reports whether the entry is about a connection: named in the call's path or body, in a list of ids to
// delete, or in a command line, in Python's notation; or it is an import that overwrites, of any connection.
func (e ConnectionEvent) Concerns(id string) bool {
	forms := []string{`"connection_id": "ID"`, `["ID"`, `, "ID",`, `, "ID"]`, `'ID'`, `'--overwrite'`}
	return slices.ContainsFunc(forms, func(form string) bool {
		return strings.Contains(e.Extra, strings.Replace(form, "ID", id, 1))
	})
}
