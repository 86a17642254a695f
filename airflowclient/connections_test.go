package airflowclient

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

func someUpdates(ids ...string) []Update {
	var updates []Update
	for _, id := range ids {
		updates = append(updates, Update{ID: id, Type: "docker", Password: secret.New(newPassword)})
	}
	return updates
}

// connectionsOf returns the routes of an Airflow that has c0, c1 and so on, in pages, and each alone.
func connectionsOf(total, pageSize int) routes {
	absent := answers(404, "{\"detail\":\"The Connection with connection_id: `absent` was not found\"}")
	r := routes{"GET /api/v2/connections/absent": absent}
	for offset := 0; offset == 0 || offset < total; offset += pageSize {
		var rows []string
		for i := offset; i < min(offset+pageSize, total); i++ {
			row := fmt.Sprintf(`{"connection_id":"c%d","conn_type":"docker"}`, i)
			r[fmt.Sprintf("GET /api/v2/connections/c%d", i)] = answers(200, row)
			rows = append(rows, row)
		}
		r[page(offset)] = answers(200,
			fmt.Sprintf(`{"connections":[%s],"total_entries":%d}`, strings.Join(rows, ","), total))
	}
	return r
}

func page(offset int) string {
	return fmt.Sprintf("GET /api/v2/connections?limit=100&offset=%d", offset)
}

func TestConnectionsByID(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		total, pageSize int
		ids             string
		calls           int
	}{
		{250, 100, "c0 c1 absent", 3},              // one by one
		{99, 100, "c0 c1 c2 c98", 1},               // all of one page
		{0, 100, "absent absent absent absent", 5}, // one by one, too: a list may hide what is there
		{100, 100, "c0 c1 c2 absent", 2},           // a full page, and the one that is missing
		{101, 100, "c0 c1 c2 c100", 2},             // the second page has one
		{250, 100, "c0 c1 c2 c100 c249 absent", 4},
		{50, 20, "c0 c20 c40 c49", 3},    // a setting makes pages shorter
		{5000, 100, "c0 c1 c2 c4999", 2}, // one by one after the first page: there are 49 more
	} {
		a := newAirflow(t, connectionsOf(test.total, test.pageSize))
		ids := strings.Fields(test.ids)
		found, failed := newClient(t, a.URL).ConnectionsByID(t.Context(), ids)
		for _, id := range ids {
			if id == "absent" && !errors.Is(failed[id], ErrNotFound) || id != "absent" && found[id].ID != id {
				t.Errorf("%s: %v, %v", id, found[id], failed[id])
			}
		}
		calls := len(a.received()) - 1 // without the login
		if len(failed) > 1 || len(failed) > 0 != slices.Contains(ids, "absent") || calls != test.calls {
			t.Errorf("%s of %d: failed %v with %d calls, want %d", ids, test.total, failed, calls, test.calls)
		}
	}
}

// A page that cannot be read, or is odd, fails what only it could have.
func TestConnectionsByIDFail(t *testing.T) {
	t.Parallel()
	for offset, want := range map[int]int{0: 5, 100: 2} {
		r := connectionsOf(150, 100)
		r[page(offset)] = answers(403, `{"detail":"Forbidden"}`)
		found, failed := clientOf(t, r).ConnectionsByID(t.Context(), []string{"c0", "c1", "c2", "c100", "c101"})
		if len(failed) != want || want == 2 && found["c2"].ID != "c2" {
			t.Errorf("found %v, failed %v", found, failed)
		}
		wantError(t, failed["c101"], Forbidden, "403")
		if right := MissingRight(failed["c101"]); right != "can_read on Connections" {
			t.Errorf("the right that is missing is %q", right)
		}
	}
	for _, odd := range []string{`{}`, `{"connections":[{}],"total_entries":9223372036854775807}`,
		`{"connections":[],"total_entries":500}`, `{"connections":[{}],"total_entries":-1}`} {
		r := connectionsOf(4, 100)
		r[page(0)], r[page(1)] = answers(200, odd), answers(200, `{}`)
		found, failed := clientOf(t, r).ConnectionsByID(t.Context(), []string{"c0", "c1", "c2", "c3"})
		if len(found)+len(failed) < 4 {
			t.Errorf("%s: found %v, failed %v", odd, found, failed)
		}
	}
}

func TestUpdateIsNotSent(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{bulk: answers(200, `{"update":{"success":["good"],"errors":[]}}`)})
	c := newClient(t, a.URL)
	for _, test := range []struct {
		update Update
		kind   failure.Kind
		text   string
	}{
		{Update{Type: "docker"}, BadPassword, "is empty, ***"},
		{Update{Type: "docker", Password: secret.New("***")}, BadPassword, "is empty, ***"},
		{Update{Type: "docker", Password: secret.New("a\xffb")}, BadPassword, "not UTF-8"},
	} {
		failed := c.UpdateConnections(t.Context(), append(someUpdates("good"), test.update))
		if wantError(t, failed[""], test.kind, test.text); len(failed) != 1 {
			t.Errorf("failed %v, want one", failed)
		}
		if !test.update.Password.Empty() {
			wantError(t, c.PutConnection(t.Context(), test.update), test.kind, test.text)
		}
		c.UpdateConnections(t.Context(), []Update{test.update})
	}
	for _, sent := range a.received(bulk) {
		if strings.Count(sent.body, "connection_id") != 1 {
			t.Errorf("sent %s, want the good one alone", sent.body)
		}
	}
	if sent := len(a.received(bulk)); sent != 3 {
		t.Errorf("sent %d updates, want 3", sent)
	}
}

// Each failure is listed as its object, the right that it takes, its kind and what is said of it.
func TestBulkFailures(t *testing.T) {
	t.Parallel()
	const absent = " no such connection: airflow has no such connection"
	for update, want := range map[string]map[string]string{
		`{"success":["a","b.c"],"errors":[]}`: nil,
		`{"success":["a"],"errors":[]}`:       {"b.c": "b.c" + absent},
		`null`:                                {"a": "a" + absent, "b.c": "b.c" + absent},
		`{"success":["a"],"errors":[{"error":"cannot write ` + newPassword + `","status_code":409}]}`: {
			"b.c": "b.c conflict: airflow answered 409: cannot write [redacted]"},
		`{"success":[],"errors":[{"error":"locked","status_code":500}]}`: {
			"a":   "a Airflow unavailable: airflow answered 500: locked",
			"b.c": "b.c Airflow unavailable: airflow answered 500: locked"},
		`{"success":["a"],"errors":[{"error":"[{'input': '` + newPassword + `'}]"}]}`: {
			"b.c": "b.c invalid: airflow did not update it: the request did not pass validation"},
		`{"success":["a"],"errors":[{"error":{"x":1},"status_code":400}, {"error":"y","status_code":409}]}`: {
			"b.c": "b.c invalid: airflow answered 400 Bad Request"},
		`{"success":["a","b.c"],"errors":["x"]}`: {
			"a":   " not Airflow: airflow answered 200 with JSON of another shape than Airflow 3's",
			"b.c": " not Airflow: airflow answered 200 with JSON of another shape than Airflow 3's"},
	} {
		got := map[string]string{}
		c := clientOf(t, routes{bulk: answers(200, `{"update":`+update+`}`)})
		for id, err := range c.UpdateConnections(t.Context(), someUpdates("a", "b.c")) {
			kind, is := failure.Describe(err)
			got[id] = strings.TrimPrefix(is.Want+" ", " ") + is.Object + " " + string(kind) + ": " + err.Error()
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", update, got, want)
		}
	}
}

func TestUpdateOfMany(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 1000 {
		ids = append(ids, fmt.Sprintf("c%d", i))
	}
	id := regexp.MustCompile(`"c[1-9]\d*"`) // c0 is missing
	a := newAirflow(t, routes{bulk: func(w http.ResponseWriter, req *http.Request) {
		sent, _ := io.ReadAll(req.Body)
		done := strings.Join(id.FindAllString(string(sent), -1), ",")
		answers(200, `{"update":{"success":[`+done+`],"errors":[]}}`)(w, req)
	}})
	failed := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates(ids...))
	if calls := len(a.received(bulk)); calls != 10 || len(failed) != 1 || !errors.Is(failed["c0"], ErrNotFound) {
		t.Errorf("%d calls, failed %v, want 10 and c0 not found", calls, failed)
	}
}
