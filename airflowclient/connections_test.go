package airflowclient

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func someUpdates(ids ...string) []Update {
	var updates []Update
	for _, id := range ids {
		updates = append(updates, Update{ID: id, Type: "docker", Password: hide(newPassword)})
	}
	return updates
}

// connectionsOf returns the routes of an Airflow that has c0, c1 and so on, in pages, and each alone.
func connectionsOf(total, pageSize int) routes {
	row := func(i int) string { return fmt.Sprintf(`{"connection_id":"c%d","conn_type":"docker"}`, i) }
	r := routes{}
	for i := range total {
		r[fmt.Sprintf("GET /api/v2/connections/c%d", i)] = answers(200, row(i))
	}
	for offset := 0; offset <= total; offset += pageSize {
		r[fmt.Sprintf("GET /api/v2/connections?limit=100&offset=%d", offset)] =
			func(w http.ResponseWriter, req *http.Request) {
				offset, _ := strconv.Atoi(req.URL.Query().Get("offset"))
				var rows []string
				for i := offset; i < min(offset+pageSize, total); i++ {
					rows = append(rows, row(i))
				}
				list := strings.Join(rows, ",")
				writeJSON(w, 200, fmt.Sprintf(`{"connections":[%s],"total_entries":%d}`, list, total))
			}
	}
	return r
}

func TestConnectionsByID(t *testing.T) {
	t.Parallel()
	absent := answers(404, "{\"detail\":\"The Connection with connection_id: `absent` was not found\"}")
	for name, test := range map[string]struct {
		total, pageSize int
		ids             string
		calls           int
	}{
		"none of none":                   {0, 100, "absent", 1},
		"few, one by one":                {250, 100, "c0 c1 absent", 3},
		"of the first page":              {99, 100, "c0 c1 c2 c98", 1},
		"of none":                        {0, 100, "absent absent absent absent", 5},
		"a full page":                    {100, 100, "c0 c1 c2 absent", 1},
		"the second page has one":        {101, 100, "c0 c1 c2 c100", 2},
		"all pages":                      {250, 100, "c0 c1 c2 c100 c249 absent", 3},
		"the rest one by one":            {350, 100, "c0 c1 c2 c300 absent", 3},
		"a setting makes pages shorter":  {50, 20, "c0 c20 c40 c49", 3},
		"as many one by one as of pages": {300, 100, "c0 c1 c2 c100 c200", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := connectionsOf(test.total, test.pageSize)
			r["GET /api/v2/connections/absent"] = absent
			a := newAirflow(t, r)
			ids := strings.Fields(test.ids)
			found, failed := newClient(t, a.URL).ConnectionsByID(t.Context(), ids)
			for _, id := range ids {
				if id == "absent" && !errors.Is(failed[id], ErrNotFound) || id != "absent" && found[id].ID != id {
					t.Errorf("%s: %v, %v", id, found[id], failed[id])
				}
			}
			calls := len(a.received()) - 1 // without the login
			if len(failed) > 1 || len(failed) > 0 != slices.Contains(ids, "absent") || calls != test.calls {
				t.Errorf("failed %v with %d calls, want %d", failed, calls, test.calls)
			}
		})
	}
}

// A page that cannot be read fails what only it could have.
func TestConnectionsByIDFail(t *testing.T) {
	t.Parallel()
	for offset, want := range map[int]int{0: 5, 100: 2} {
		r := connectionsOf(150, 100)
		r[fmt.Sprintf("GET /api/v2/connections?limit=100&offset=%d", offset)] = answers(403, `{"detail":"Forbidden"}`)
		c := clientOf(t, r)
		found, failed := c.ConnectionsByID(t.Context(), []string{"c0", "c1", "c2", "c100", "c101"})
		if len(failed) != want || want == 2 && found["c2"].ID != "c2" {
			t.Errorf("found %v, failed %v", found, failed)
		}
		if e := wantError(t, failed["c101"], Forbidden, "403"); e.Object != "Connections" || e.Right != "can_read" {
			t.Errorf("facts are %+v", e)
		}
	}
}

func TestUpdateBody(t *testing.T) {
	t.Parallel()
	answer := `{"create":null,"update":{"success":["a","b"],"errors":[]},"delete":null}`
	a := newAirflow(t, routes{bulk: answers(200, answer)})
	updates := someUpdates("a", "b")
	updates[1].Login = "AWS"
	failed := newClient(t, a.URL).UpdateConnections(t.Context(), updates)
	want := `{"actions":[{"action":"update","action_on_non_existence":"skip","entities":[` +
		`{"conn_type":"docker","connection_id":"a","password":"` + newPassword + `"},` +
		`{"conn_type":"docker","connection_id":"b","login":"AWS","password":"` + newPassword + `"}]}]}`
	if got := a.received(bulk); len(failed) != 0 || len(got) != 1 || got[0].body != want {
		t.Errorf("sent %v, failed %v, want %s", got, failed, want)
	}
}

func TestUpdateIsNotSent(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{bulk: answers(200, `{"update":{"success":["good"],"errors":[]}}`)})
	c := newClient(t, a.URL)
	bad := []Update{
		{ID: "empty", Type: "docker"},
		{ID: "stars", Type: "docker", Password: hide("***")},
		{ID: "bytes", Type: "docker", Password: hide("a\xffb")},
		{ID: "type", Password: hide(newPassword)},
	}
	failed := c.UpdateConnections(t.Context(), append(someUpdates("good"), bad...))
	sent := a.received(bulk)
	if len(failed) != 4 || len(sent) != 1 || strings.Count(sent[0].body, "connection_id") != 1 {
		t.Errorf("sent %v, failed %v, want the good one alone", sent, failed)
	}
	wantError(t, failed["empty"], BadPassword, `keep the old one`)
	wantError(t, failed["stars"], BadPassword, `keep the old one`)
	wantError(t, failed["bytes"], BadPassword, "not UTF-8")
	wantError(t, failed["type"], Invalid, "type is not given")

	c = clientOf(t, routes{})
	if failed := c.UpdateConnections(t.Context(), bad); len(failed) != 4 {
		t.Errorf("failed %v, want four", failed)
	}
	if failed := c.UpdateConnections(t.Context(), nil); len(failed) != 0 {
		t.Errorf("failed %v, want none", failed)
	}
	for _, u := range bad[1:] {
		if c.CreateConnection(t.Context(), u) == nil || c.PatchConnection(t.Context(), u) == nil {
			t.Errorf("%+v was sent", u)
		}
	}
}

func TestBulkFailures(t *testing.T) {
	t.Parallel()
	const absent = "airflow has no such connection"
	for name, test := range map[string]struct {
		update string
		want   map[string]string
		kind   Kind
	}{
		"all":         {`{"success":["a","b.c"],"errors":[]}`, nil, ""},
		"one skipped": {`{"success":["a"],"errors":[]}`, map[string]string{"b.c": absent}, NoConnection},
		"no answer":   {`null`, map[string]string{"a": absent, "b.c": absent}, NoConnection},
		"not found": {`{"success":[],"errors":[{"error":"The connections with these connection_ids: {'b.c'} were not ` +
			`found.","status_code":404}]}`, map[string]string{"a": absent, "b.c": absent}, NoConnection},
		"one named": {`{"success":["a"],"errors":[{"error":"cannot write 'b.c'","status_code":409}]}`,
			map[string]string{"b.c": "airflow answered 409: cannot write 'b.c'"}, Conflict},
		"named beside success": {`{"success":["a","b.c"],"errors":[{"error":"b.c: no","status_code":400}]}`,
			map[string]string{"b.c": "airflow answered 400: b.c: no"}, Invalid},
		"named within a word": {`{"success":["a"],"errors":[{"error":"ab.c, b.cd","status_code":400}]}`,
			map[string]string{"b.c": "airflow answered 400: ab.c, b.cd"}, Invalid},
		"none named": {`{"success":["a"],"errors":[{"error":"database is locked","status_code":500}]}`,
			map[string]string{"b.c": "airflow answered 500: database is locked"}, Unavailable},
		"none named, none missing": {`{"success":["a","b.c"],"errors":[{"error":"locked","status_code":500}]}`,
			map[string]string{"a": "airflow answered 500", "b.c": "airflow answered 500"}, Unavailable},
		"validation": {`{"success":["a"],"errors":[{"error":"[{'input': '` + newPassword + `'}]"}]}`,
			map[string]string{"b.c": "airflow did not update it: the request did not pass validation"}, Invalid},
		"may not": {`{"success":["a"],"errors":[{"error":"Forbidden","status_code":403}]}`,
			map[string]string{"b.c": "airflow answered 403: Forbidden"}, Forbidden},
		"odd entry": {`{"success":["a"],"errors":[{"error":{"x":1},"status_code":400}]}`,
			map[string]string{"b.c": "airflow answered 400 Bad Request"}, Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clientOf(t, routes{bulk: answers(200, `{"update":`+test.update+`}`)})
			failed := c.UpdateConnections(t.Context(), someUpdates("a", "b.c"))
			if len(failed) != len(test.want) {
				t.Fatalf("got %v, want %v", failed, test.want)
			}
			for id, text := range test.want {
				object, right := id, ""
				if test.kind == Forbidden {
					object, right = "Connections", "can_edit"
				}
				if e := wantError(t, failed[id], test.kind, text); e.Object != object || e.Right != right {
					t.Errorf("it is about %q %q, want %q %q", e.Right, e.Object, right, object)
				}
			}
		})
	}
}

func TestUpdateOfMany(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 1000 {
		ids = append(ids, fmt.Sprintf("c%d", i))
	}
	success := `["` + strings.Join(ids[1:], `","`) + `"]`
	a := newAirflow(t, routes{bulk: answers(200, `{"update":{"success":`+success+`,"errors":[]}}`)})
	failed := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates(ids...))
	if len(failed) != 1 || !errors.Is(failed["c0"], ErrNotFound) {
		t.Errorf("got %v, want c0 not found", failed)
	}
	if calls := len(a.received(bulk)); calls != 10 {
		t.Errorf("%d calls for 1,000 connections, want 10", calls)
	}
}
