package airflowclient_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"ecr-refresh/airflowclient"
)

// A log's content is a list of texts or of objects, as its handler has it.
func TestLogEvents(t *testing.T) {
	t.Parallel()
	const content = `["a text", {"timestamp": null, "event": "an event"}, {"event": "e", "level": "info", "x": 1},
		{"event": "Task failed with exception", "level": "error", "error_detail": [
			{"exc_type": "First", "exc_value": "1"}, {"exc_type": "Last", "exc_value": "2", "frames": []}]}]`
	want := []airflowclient.LogEvent{{"", "a text"}, {"", "an event"}, {"info", "e"}, {"error", "Last: 2"}}
	var got []airflowclient.LogEvent
	if err := json.Unmarshal([]byte(content), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: %+v, want %+v", err, got, want)
	}
	if json.Unmarshal([]byte(`[1]`), &got) == nil {
		t.Error("a number is an event")
	}
}

func TestTaskURL(t *testing.T) {
	t.Parallel()
	c, err := airflowclient.New(airflowclient.Config{BaseURL: "https://h/base/"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "https://h/base/dags/d%20d/runs/manual__2026-11-26T09:01:14.1+00:00/tasks/t?try_number=2"
	if got := c.TaskURL("d d", "manual__2026-11-26T09:01:14.1+00:00", "t", 2); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
