package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Event is an entry of the event log.
type Event struct {
	When                time.Time // zero: when it is added
	Event, Owner, Extra string
}

// AddEvent adds an entry to the event log.
func (a *Airflow) AddEvent(e Event) {
	if e.When.IsZero() {
		e.When = a.now()
	}
	a.set(func() { a.events = append(a.events, e) })
}

// logged adds what Airflow 3.3 logs of a call that is authorized, before it validates it: the body, with passwords
// masked, as Python's json.dumps writes it.
func (a *Airflow) logged(r *http.Request, event string, body any) {
	token, _ := bearer(r)
	user, _ := a.open(token)
	extra, _ := masked(body).(map[string]any)
	if extra == nil {
		extra = map[string]any{}
	}
	extra["method"] = r.Method
	text, _ := json.MarshalIndent(extra, "", "") // was just decoded
	dumped := strings.NewReplacer(",\n", ", ", "\n", "").Replace(string(text))
	a.AddEvent(Event{Event: event, Owner: user.Subject + user.Name, Extra: dumped})
}

// masked returns a copy of decoded JSON without passwords.
func masked(value any) any {
	switch value := value.(type) {
	case map[string]any:
		copied := map[string]any{}
		for key, inner := range value {
			if copied[key] = masked(inner); key == "password" && inner != nil {
				copied[key] = "***"
			}
		}
		return copied
	case []any:
		copied := []any{}
		for _, inner := range value {
			copied = append(copied, masked(inner))
		}
		return copied
	}
	return value
}

func (a *Airflow) getEventLogs(w http.ResponseWriter, r *http.Request) {
	if !a.authorize(w, r, "can_read", "Audit Logs") {
		return
	}
	query := r.URL.Query()
	after, _ := time.Parse(time.RFC3339, query.Get("after"))
	list := []map[string]any{}
	for id, e := range locked(&a.state, func() []Event { return slices.Clone(a.events) }) {
		included := query["included_events"]
		if e.When.After(after) && (included == nil || slices.Contains(included, e.Event)) {
			list = append(list, map[string]any{"event_log_id": id + 1, "when": moment(e.When), "event": e.Event,
				"owner": e.Owner, "extra": e.Extra, "dag_id": nil, "task_id": nil, "run_id": nil, "map_index": nil,
				"try_number": nil, "logical_date": nil})
		}
	}
	if query.Get("order_by") == "-event_log_id" {
		slices.Reverse(list)
	}
	writePage(w, r, "event_logs", list)
}
