package airflowclient

import (
	"errors"
	"fmt"
	"net/http"
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

func TestConnection(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{one: says(200, dockerDB)})
	got, err := newClient(t, a.URL).Connection(t.Context(), "docker_default")
	want := Connection{ID: "docker_default", Type: "docker", Host: "h", Port: 5000, Login: "AWS", Description: "d",
		HasPassword: true, Extra: `{"reauth": true}`}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestConnectionNotFound(t *testing.T) {
	t.Parallel()
	for body, found := range map[string]bool{
		"{\"detail\":\"The Connection with connection_id: `docker_default` was not found\"}": true,
		`{"error":"API route not found"}`: false,
		`{"detail":"Not Found"}`:          false,
	} {
		a := newAirflow(t, routes{one: says(404, body)})
		_, err := newClient(t, a.URL).Connection(t.Context(), "docker_default")
		if found {
			wantError(t, err, true, "airflow has no such connection", "airflow connections add docker_default --conn-type docker")
		} else {
			wantError(t, err, true, "airflow answered 404: ", hintBaseURL)
		}
		if errors.Is(err, ErrNotFound) != found {
			t.Errorf("%s: errors.Is(%v, ErrNotFound) is %v", body, err, !found)
		}
	}
}

func TestConnectionID(t *testing.T) {
	t.Parallel()
	c := newClient(t, newAirflow(t, routes{}).URL)
	for _, id := range []string{"", ".", "..", "a/b", "a b", "a%2Fb", "a\nb", "a?b", "a\xff", "a`b", strings.Repeat("x", 201)} {
		_, err := c.Connection(t.Context(), id)
		wantError(t, err, true, "is not a connection id", "at most 200")
		wantError(t, c.UpdateConnections(t.Context(), someUpdates(id))[id], true, "is not a connection id", "at most 200")
	}
	for _, id := range []string{"a", "a-b_c.d", "...", "é日本", strings.Repeat("é", 200)} {
		if err := checkID(id); err != nil {
			t.Error(err)
		}
	}
	a := newAirflow(t, routes{"GET /api/v2/connections/d%C3%A9p%C3%B4t": says(200, dockerDB)})
	if _, err := newClient(t, a.URL).Connection(t.Context(), "dépôt"); err != nil {
		t.Error(err)
	}
}

func TestConnectionsPages(t *testing.T) {
	t.Parallel()
	for total, pages := range map[int]int{0: 1, 99: 1, 100: 1, 101: 2, 250: 3} {
		handle := func(w http.ResponseWriter, req *http.Request) {
			offset, _ := strconv.Atoi(req.URL.Query().Get("offset"))
			var rows []string
			for i := offset; i < min(offset+100, total); i++ {
				rows = append(rows, fmt.Sprintf(`{"connection_id":"c%d","conn_type":"docker"}`, i))
			}
			answerJSON(w, 200, fmt.Sprintf(`{"connections":[%s],"total_entries":%d}`, strings.Join(rows, ","), total))
		}
		r := routes{}
		for offset := 0; offset <= total; offset += 100 {
			r[fmt.Sprintf("GET /api/v2/connections?limit=100&offset=%d", offset)] = handle
		}
		a := newAirflow(t, r)
		all, err := newClient(t, a.URL).Connections(t.Context())
		if err != nil || len(all) != total || total > 0 && all[total-1].ID != fmt.Sprintf("c%d", total-1) {
			t.Errorf("%d connections, %v, want %d", len(all), err, total)
		}
		if got := len(a.all()) - 1; got != pages {
			t.Errorf("%d connections in %d pages, want %d", total, got, pages)
		}
	}
}

func TestUpdateBody(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{bulk: says(200, `{"create":null,"update":{"success":["a","b"],"errors":[]},"delete":null}`)})
	updates := someUpdates("a", "b")
	updates[1].Login = "AWS"
	failed := newClient(t, a.URL).UpdateConnections(t.Context(), updates)
	if len(failed) != 0 {
		t.Fatalf("got %v", failed)
	}
	got := a.asked(bulk)
	if len(got) != 1 {
		t.Fatalf("%d calls, want 1", len(got))
	}
	want := `{"actions":[{"action":"update","action_on_non_existence":"skip","entities":[` +
		`{"conn_type":"docker","connection_id":"a","password":"` + newPassword + `"},` +
		`{"conn_type":"docker","connection_id":"b","login":"AWS","password":"` + newPassword + `"}]}]}`
	if got[0].body != want {
		t.Errorf("sent %s, want %s", got[0].body, want)
	}
}

func TestUpdateRefuses(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{bulk: says(200, `{"update":{"success":["good"],"errors":[]}}`)})
	updates := append(someUpdates("good"),
		Update{ID: "empty", Type: "docker"},
		Update{ID: "stars", Type: "docker", Password: hide("***")},
		Update{ID: "bytes", Type: "docker", Password: hide("a\xffb")},
		Update{ID: "type", Password: hide(newPassword)})
	failed := newClient(t, a.URL).UpdateConnections(t.Context(), updates)
	if len(failed) != 4 {
		t.Fatalf("got %v, want four failures", failed)
	}
	wantError(t, failed["empty"], true, `keep the old one`, "extract_ecr_token")
	wantError(t, failed["stars"], true, `keep the old one`, "extract_ecr_token")
	wantError(t, failed["bytes"], true, "not UTF-8", "")
	wantError(t, failed["type"], true, "type is not given", "")
	if sent := a.asked(bulk); len(sent) != 1 || strings.Count(sent[0].body, "connection_id") != 1 {
		t.Errorf("sent %v, want the good one alone", sent)
	}

	a = newAirflow(t, routes{})
	c := newClient(t, a.URL)
	if failed := c.UpdateConnections(t.Context(), updates[1:]); len(failed) != 4 || len(a.all()) != 0 {
		t.Errorf("got %v, asked %v, want nothing asked", failed, a.all())
	}
	if failed := c.UpdateConnections(t.Context(), nil); len(failed) != 0 || len(a.all()) != 0 {
		t.Errorf("got %v, asked %v, want nothing asked", failed, a.all())
	}
	wantError(t, c.UpdateConnections(t.Context(), someUpdates("a", "a"))["a"], true, "it is to be updated twice", "once")
}

func TestUpdateOutcome(t *testing.T) {
	t.Parallel()
	const notFoundText = "airflow has no such connection"
	for name, test := range map[string]struct {
		update string
		want   map[string]string
	}{
		"all":          {`{"success":["a","b.c"],"errors":[]}`, nil},
		"one skipped":  {`{"success":["a"],"errors":[]}`, map[string]string{"b.c": notFoundText}},
		"nothing said": {`null`, map[string]string{"a": notFoundText, "b.c": notFoundText}},
		"not found": {`{"success":[],"errors":[{"error":"The connections with these connection_ids: {'b.c'} were not found.","status_code":404}]}`,
			map[string]string{"a": notFoundText, "b.c": notFoundText}},
		"one named": {`{"success":["a"],"errors":[{"error":"cannot write 'b.c'","status_code":409}]}`,
			map[string]string{"b.c": "airflow answered 409: cannot write 'b.c'"}},
		"named beside success": {`{"success":["a","b.c"],"errors":[{"error":"b.c: no","status_code":400}]}`,
			map[string]string{"b.c": "airflow answered 400: b.c: no"}},
		"none named": {`{"success":["a"],"errors":[{"error":"database is locked","status_code":500}]}`,
			map[string]string{"b.c": "airflow answered 500: database is locked"}},
		"none named, none missing": {`{"success":["a","b.c"],"errors":[{"error":"database is locked","status_code":500}]}`,
			map[string]string{"a": "airflow answered 500", "b.c": "airflow answered 500"}},
		"validation": {`{"success":["a"],"errors":[{"error":"[{'input': '` + newPassword + `'}]"}]}`,
			map[string]string{"b.c": "airflow did not update it: the request did not pass validation"}},
		"odd entry": {`{"success":["a"],"errors":[{"error":{"x":1},"status_code":400}]}`,
			map[string]string{"b.c": "airflow answered 400 Bad Request"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAirflow(t, routes{bulk: says(200, `{"update":`+test.update+`}`)})
			failed := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates("a", "b.c"))
			if len(failed) != len(test.want) {
				t.Fatalf("got %v, want %v", failed, test.want)
			}
			for id, text := range test.want {
				if failed[id] == nil || !strings.Contains(failed[id].Error(), text) {
					t.Errorf("%s: got %v, want %q", id, failed[id], text)
				}
				if errors.Is(failed[id], ErrNotFound) != (text == notFoundText) {
					t.Errorf("%s: errors.Is(%v, ErrNotFound)", id, failed[id])
				}
				if transient := strings.Contains(text, "409") || strings.Contains(text, "500"); failure.IsPermanent(failed[id]) == transient {
					t.Errorf("%s: transient is %v", failed[id], !transient)
				}
				noSecret(t, failed[id].Error())
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
	a := newAirflow(t, routes{bulk: says(200, `{"update":{"success":["`+strings.Join(ids[1:], `","`)+`"],"errors":[]}}`)})
	failed := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates(ids...))
	if len(failed) != 1 || !errors.Is(failed["c0"], ErrNotFound) {
		t.Errorf("got %v, want c0 not found", failed)
	}
	if calls := len(a.asked(bulk)); calls != 10 {
		t.Errorf("%d calls for 1,000 connections, want 10", calls)
	}
}
