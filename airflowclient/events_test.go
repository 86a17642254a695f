package airflowclient

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps/untrusted"
)

// What Airflow 3.0.6 and 3.3.2 write, word for word; c is the connection.
func TestConnectionEventConcerns(t *testing.T) {
	t.Parallel()
	const argv = `{"host_name": "vm", "full_command": "['/bin/airflow', 'connections', `
	const bulk = `{"actions": [{"action": `
	for _, row := range []struct {
		event, extra string
		want         bool
	}{
		{"patch_connection", `{"connection_id": "c", "conn_type": "docker", "password": "***"}`, true},
		{"delete_connection", `{"connection_id": "c", "method": "DELETE"}`, true},
		{"delete_connection", `{"connection_id": "c1", "method": "DELETE"}`, false},
		{"bulk_connections", bulk + `"update", "action_on_non_existence": "skip", "entities": [` +
			`{"connection_id": "b"}, {"connection_id": "c", "password": "***"}]}], "method": "PATCH"}`, true},
		{"bulk_connections", bulk + `"delete", "entities": ["b", "c"]}], "method": "PATCH"}`, true},
		{"bulk_connections", bulk + `"delete", "entities": ["b", "c", "d"]}], "method": "PATCH"}`, true},
		{"bulk_connections", bulk + `"delete", "entities": ["c", "d"]}], "method": "PATCH"}`, true},
		{"patch_connection", `{"connection_id": "b", "conn_type": "c", "login": "c", "c": "d"}`, false},
		{"bulk_connections", bulk + `"delete", "entities": ["b"]}], "method": "PATCH"}`, false},
		{"bulk_connections", bulk + `"delete", "entities": [1, null, {}]}]}`, false},
		{"bulk_connections", `{"actions": "c"}`, false},
		{"cli_connections_add", argv + `'add', 'c', '--conn-uri', 'docker://AWS:********@h']"}`, true},
		{"cli_connections_delete", argv + `'delete', 'c1']"}`, false},
		{"cli_connections_import", argv + `'import', '/file', '--overwrite']"}`, true},
		{"cli_connections_import", argv + `'import', '/c']"}`, false},
		{"post_connection", `{"method": "POST"}`, false},
		{"post_connection", `{`, false},
	} {
		if got := (ConnectionEvent{Extra: row.extra}).Concerns("c"); got != row.want {
			t.Errorf("%v, want %v: %s %s", got, row.want, row.event, row.extra)
		}
	}
}

// All pages are read, however short they are; names are cleaned.
func TestConnectionEvents(t *testing.T) {
	t.Parallel()
	after := time.Date(2026, 11, 24, 6, 41, 40, 5e8, time.UTC)
	const path = "GET /api/v2/eventLogs?limit=100&offset="
	const query = "&after=2026-11-24T06%3A41%3A40.5Z&included_events=post_connection&included_events=patch_connection" +
		"&included_events=delete_connection&included_events=bulk_connections" +
		"&included_events=enqueue_connection_test&included_events=cli_connections_add" +
		"&included_events=cli_connections_delete&included_events=cli_connections_import&order_by=-event_log_id"
	a := newAirflow(t, routes{
		path + "0" + query: answers(200, `{"event_logs":[{"when":"`+day+`","event":"patch_connection",`+
			`"owner":"a\u001b[31mb","extra":null}],"total_entries":2}`),
		path + "1" + query: answers(200, `{"event_logs":[{"when":"`+day+`","event":"post_connection",`+
			`"owner":null,"extra":null}],"total_entries":2}`),
	})
	all, err := newClient(t, a.URL).ConnectionEvents(t.Context(), after)
	want := fmt.Sprint([]ConnectionEvent{{after, untrusted.New("patch_connection"), untrusted.New("ab"), ""},
		{When: after, Event: untrusted.New("post_connection")}})
	if err != nil || fmt.Sprint(all) != want {
		t.Errorf("%v, %v, want %v", all, err, want)
	}
}

// An event log that does not end is read to maxEvents.
func TestEndlessEvents(t *testing.T) {
	t.Parallel()
	pages, entries := 0, strings.TrimPrefix(strings.Repeat(`,{}`, 100), ",")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost {
			answers(201, `{"access_token":"jwt`+jwtEnd+`"}`)(w, req)
			return
		}
		pages++
		answers(200, `{"event_logs":[`+entries+`],"total_entries":9999999}`)(w, req)
	}))
	t.Cleanup(server.Close)
	all, err := newClient(t, server.URL).ConnectionEvents(t.Context(), time.Time{})
	if err != nil || len(all) != maxEvents || pages != 10 {
		t.Errorf("%d events, %d pages, %v", len(all), pages, err)
	}
}
