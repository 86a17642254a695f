package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

const jsonType = "application/json"

// login returns the Authorization header of a user.
func login(t *testing.T, s *sandbox.Sandbox, name string) string {
	t.Helper()
	user, _ := s.Airflow.User(name)
	body := fmt.Sprintf(`{"username":%q,"password":%q}`, name, user.Password)
	response, text := do(t, http.DefaultClient,
		newRequest(t, "POST", s.Airflow.URL()+"/auth/token", body, "Content-Type", jsonType))
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(text), &token); err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", response.StatusCode, text)
	}
	return "Bearer " + token.AccessToken
}

type exchange struct {
	name, call, authorization, body string
	status                          int
	want                            string
}

func (x exchange) run(t *testing.T, s *sandbox.Sandbox, contentType string) {
	t.Run(x.name, func(t *testing.T) {
		method, path, _ := strings.Cut(x.call, " ")
		response, body := do(t, http.DefaultClient,
			newRequest(t, method, s.Airflow.URL()+path, x.body,
				"Authorization", x.authorization, "Content-Type", contentType))
		if response.StatusCode != x.status || !strings.Contains(body, x.want) {
			t.Errorf("got %d %s\nwant %d %s", response.StatusCode, body, x.status, x.want)
		}
	})
}

// The answers below are those of a real Airflow 3.3.2.

func TestAirflowLogin(t *testing.T) {
	s := start(t, sandbox.Options{})
	const call = "POST /auth/token"
	for _, x := range []exchange{
		{"wrong", call, "", `{"username":"refresher","password":"wrong"}`, 401, `{"detail":"Invalid credentials"}`},
		{"unknown", call, "", `{"username":"nobody","password":"x"}`, 401, `{"detail":"Invalid credentials"}`},
		{"empty", call, "", `{"username":"refresher","password":""}`, 400,
			`{"detail":"Username and password must be provided"}`},
		{"missing", call, "", `{"password":"hunter22"}`, 422,
			`{"detail":"1 validation error for LoginBody\nusername\n  Field required [type=missing`},
		{"echo", call, "", `{"password":"hunter22"}`, 422, `hunter22`},
		{"number", call, "", `{"username":1,"password":"x"}`, 422, `Input should be a valid string`},
		{"more", call, "", `{"username":"a","password":"b","c":1}`, 422, `Extra inputs are not permitted`},
		{"no json", call, "", `{`, 500, "Internal Server Error"},
		{"command line", "POST /auth/token/cli", "", `{"username":"a","password":"b"}`, 401, "Invalid credentials"},
		{"all admins", "GET /auth/token", "", "", 403, "simple_auth_manager_all_admins"},
		{"slash", "POST /auth/token/", "", `{}`, 405, `{"detail":"Method Not Allowed"}`},
	} {
		x.run(t, s, jsonType)
	}
	exchange{"form", call, "", "username=a&password=hunter22", 422,
		`"input":"username=a\u0026password=hunter22"`}.run(t, s, "application/x-www-form-urlencoded")
}

func TestAirflowRoutes(t *testing.T) {
	s := start(t, sandbox.Options{})
	for _, x := range []exchange{
		{"version", "GET /api/v2/version", "", "", 200, `"version":"3.3.2"`},
		{"health", "GET /api/v2/monitor/health", "", "", 200, `"metadatabase":{"status":"healthy"}`},
		{"unknown", "GET /api/v2/zap", "", "", 404, `{"error":"API route not found"}`},
		{"slash", "GET /api/v2/connections/", "", "", 404, `{"error":"API route not found"}`},
		{"escaped", "GET /api/v2/connections/a%2Fb", "", "", 404, `{"error":"API route not found"}`},
		{"wrong base path", "GET /airflow/api/v2/version", "", "", 200, "<!doctype html>"},
		{"two slashes", "GET //api/v2/version", "", "", 200, "<!doctype html>"},
		{"post", "POST /airflow/auth/token", "", "", 405, "Method Not Allowed"},
		{"put", "PUT /api/v2/connections", "", "", 405, "Method Not Allowed"},
		{"head", "HEAD /api/v2/version", "", "", 405, ""},
	} {
		x.run(t, s, jsonType)
	}
	s.Airflow.SetBasePath("/airflow/")
	exchange{"below", "GET /api/v2/version", "", "", 200, `"version":"3.3.2"`}.run(t, s, jsonType)
	if host := environ(s.Environ(), "ECR_REFRESH_AIRFLOW_HOST"); host != s.Airflow.URL() ||
		!strings.HasSuffix(host, "/airflow") {
		t.Error(host)
	}
	response, _ := do(t, http.DefaultClient,
		newRequest(t, "GET", strings.TrimSuffix(s.Airflow.URL(), "/airflow")+"/api/v2/version", ""))
	if response.StatusCode != 404 {
		t.Errorf("beside: %d", response.StatusCode)
	}
}

func TestAirflowAuthorization(t *testing.T) {
	s := start(t, sandbox.Options{})
	op, viewer := login(t, s, "refresher"), login(t, s, "viewer")
	const get, patch = "GET /api/v2/connections/docker_default", "PATCH /api/v2/connections"
	for _, x := range []exchange{
		{"nobody", get, "", "", 401, `{"detail":"Not authenticated"}`},
		{"basic", get, "Basic cmVmcmVzaGVyOng=", "", 401, `{"detail":"Not authenticated"}`},
		{"nonsense", get, "Bearer x", "", 403, `{"detail":"Invalid JWT token"}`},
		{"forged", get, op + "x", "", 403, `{"detail":"Invalid JWT token"}`},
		{"viewer reads", get, viewer, "", 403, `{"detail":"Forbidden"}`},
		{"viewer writes", patch, viewer, update(`{"connection_id":"docker_default","conn_type":"docker"}`), 403,
			`{"detail":"Forbidden"}`},
		{"viewer writes nothing", patch, viewer, `{"actions":[]}`, 200, `{"create":null,"delete":null,"update":null}`},
		{"viewer writes badly", patch, viewer, update(`{}`), 422, `Field required`},
		{"nobody writes badly", patch, "", update(`{}`), 401, `Not authenticated`},
		{"nobody writes no json", patch, "", `{`, 422, `json_invalid`},
		{"missing", "GET /api/v2/connections/nope", op, "", 404,
			"{\"detail\":\"The Connection with connection_id: `nope` was not found\"}"},
	} {
		x.run(t, s, jsonType)
	}
}

func TestAirflowTokensEnd(t *testing.T) {
	now := time.Now()
	s := start(t, sandbox.Options{Now: func() time.Time { return now }})
	const get = "GET /api/v2/connections/docker_default"
	first, second := login(t, s, "refresher"), login(t, s, "refresher")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, _ := do(t, client,
		newRequest(t, "GET", s.Airflow.URL()+"/api/v2/auth/logout", "", "Authorization", first))
	if response.StatusCode != http.StatusTemporaryRedirect || response.Header.Get("Location") != "/auth/login" ||
		s.Airflow.Revoked() != 1 {
		t.Errorf("%s to %s, %d revoked", response.Status, response.Header.Get("Location"), s.Airflow.Revoked())
	}
	exchange{"after logout", get, first, "", 403, "Invalid JWT token"}.run(t, s, "")
	exchange{"the other one", get, second, "", 200, "docker_default"}.run(t, s, "")
	now = now.Add(25 * time.Hour)
	exchange{"expired", get, second, "", 401, "Token Expired"}.run(t, s, "")
	third := login(t, s, "refresher")
	s.Airflow.RevokeAll()
	exchange{"new key", get, third, "", 403, "Invalid JWT token"}.run(t, s, "")
}

func TestAirflowRedacts(t *testing.T) {
	s := start(t, sandbox.Options{})
	s.Airflow.SetConnection(sandbox.Connection{ID: "a", Type: "docker", Host: "h", Password: "oldpassword123",
		Extra: `{"reauth": true, "registry_token": "abcdefgh", "n": [1, {"password": "zzzzzz"}], "plain": "xx ` +
			`oldpassword123 yy"}`})
	_, body := do(t, http.DefaultClient, newRequest(t, "GET", s.Airflow.URL()+"/api/v2/connections/a", "",
		"Authorization", login(t, s, "refresher")))
	var got struct{ Password, Login, Extra *string }
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := `{"n":[1,{"password":"***"}],"plain":"xx *** yy","reauth":true,"registry_token":"***"}`
	if *got.Password != "***" || got.Login != nil || *got.Extra != want {
		t.Error(body)
	}
}

func TestAirflowLists(t *testing.T) {
	s := start(t, sandbox.Options{})
	for i := range 149 {
		s.Airflow.SetConnection(sandbox.Connection{ID: fmt.Sprintf("many-%03d", i), Type: "http"})
	}
	op := login(t, s, "refresher")
	for query, want := range map[string]int{
		"": 50, "?limit=1000": 100, "?limit=1000&offset=100": 50, "?limit=0": 0, "?offset=999": 0,
	} {
		_, body := do(t, http.DefaultClient, newRequest(t, "GET", s.Airflow.URL()+"/api/v2/connections"+query, "",
			"Authorization", op))
		var got struct {
			Connections []any
			Total       int `json:"total_entries"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Connections) != want || got.Total != 150 {
			t.Errorf("%q: %d of %d, %v", query, len(got.Connections), got.Total, err)
		}
	}
	exchange{"negative", "GET /api/v2/connections?limit=-1", op, "", 422,
		`"type":"greater_than_equal","loc":["query","limit"]`}.run(t, s, "")
	exchange{"text", "GET /api/v2/connections?limit=x", op, "", 422, `"type":"int_parsing"`}.run(t, s, "")
}

// update is the body of a bulk update.
func update(entities string, more ...string) string {
	return `{"actions":[{"action":"update","entities":[` + entities + `]` + strings.Join(more, "") + `}]}`
}

func TestAirflowRefusesBodies(t *testing.T) {
	s := start(t, sandbox.Options{})
	op := login(t, s, "refresher")
	const call, good = "PATCH /api/v2/connections", `"connection_id":"docker_default","conn_type":"docker"`
	const at = `"loc":["body","actions",0,"update","entities",0`
	for _, x := range []exchange{
		{"no conn_type", call, op, update(`{"connection_id":"a","password":"hunter22"}`), 422,
			`{"type":"missing",` + at + `,"conn_type"],"msg":"Field ` +
				`required","input":{"connection_id":"a","password":"hunter22"}},{"type":"missing"`},
		{"null conn_type", call, op, update(`{"connection_id":"a","conn_type":null}`), 422,
			`{"type":"string_type",` + at + `,"conn_type"],"msg":"Input should be a valid string","input":null}`},
		{"unknown field", call, op, update(`{` + good + `,"foo":"bar"}`), 422,
			`{"type":"extra_forbidden",` + at + `,"foo"],"msg":"Extra inputs are not permitted","input":"bar"}`},
		{"number", call, op, update(`{` + good + `,"password":5}`), 422,
			`{"type":"string_type",` + at + `,"password"],"msg":"Input should be a valid string","input":5}`},
		{"port", call, op, update(`{` + good + `,"port":"x"}`), 422, `{"type":"int_parsing",` + at + `,"port"]`},
		{"id", call, op, update(`{"connection_id":"a b","conn_type":"docker"}`), 422,
			`{"type":"string_pattern_mismatch",` + at + `,"connection_id"]`},
		{"extra", call, op, update(`{` + good + `,"extra":"x"}`), 422, `{"type":"value_error",` + at + `,"extra"]`},
		{"team", call, op, update(`{` + good + `,"team_name":"x"}`), 422, `team_name cannot be set`},
		{"entity", call, op, update(`"a"`), 422, `{"type":"model_attributes_type",` + at + `]`},
		{"policy", call, op, update(`{`+good+`}`, `,"action_on_non_existence":"zap"`), 422,
			`{"type":"enum","loc":["body","actions",0,"update","action_on_non_existence"],` +
				`"msg":"Input should be 'fail' or 'skip'","input":"zap"`},
		{"mask", call, op, update(`{`+good+`}`, `,"update_mask":"password"`), 422,
			`{"type":"list_type","loc":["body","actions",0,"update","update_mask"]`},
		{"action's field", call, op, update(`{`+good+`}`, `,"foo":1`), 422,
			`{"type":"extra_forbidden","loc":["body","actions",0,"update","foo"]`},
		{"no entities", call, op, `{"actions":[{"action":"update"}]}`, 422,
			`{"type":"missing","loc":["body","actions",0,"update","entities"],"msg":"Field ` +
				`required","input":{"action":"update"}}`},
		{"no actions", call, op, `{}`, 422,
			`{"type":"missing","loc":["body","actions"],"msg":"Field required","input":{}}`},
		{"unknown action", call, op, `{"actions":[{"action":"zap","entities":[]}]}`, 500, "Internal Server Error"},
		{"list", call, op, `[1]`, 422, `{"type":"model_attributes_type","loc":["body"]`},
		{"number is fine", call, op, update(`{` + good + `,"port":"80"}`), 200,
			`{"errors":[],"success":["docker_default"]}`},
	} {
		x.run(t, s, jsonType)
	}
	exchange{"no content type", call, op, update(`{"password":"hunter22"}`), 422, `hunter22`}.run(t, s, "")
}

func TestAirflowUpdates(t *testing.T) {
	const a = `"connection_id":"a","conn_type":"docker"`
	old := sandbox.Connection{ID: "a", Type: "http", Description: "d", Schema: "s", Host: "h", Port: 1,
		Login: "l", Password: "old", Extra: `{"token":"t"}`}
	with := func(change func(*sandbox.Connection)) sandbox.Connection {
		c := old
		c.Type = "docker"
		change(&c)
		return c
	}
	same := with(func(*sandbox.Connection) {})
	for _, test := range []struct {
		name, body, want string
		stored           sandbox.Connection
	}{
		{"password alone", update(`{` + a + `,"password":"new"}`), `{"errors":[],"success":["a"]}`,
			with(func(c *sandbox.Connection) { c.Password = "new" })},
		{"null host", update(`{` + a + `,"host":null}`), `"success":["a"]`,
			with(func(c *sandbox.Connection) { c.Host = "" })},
		{"null port", update(`{` + a + `,"port":null}`), `"success":["a"]`,
			with(func(c *sandbox.Connection) { c.Port = 0 })},
		{"null password", update(`{` + a + `,"password":null}`), `"success":["a"]`, same},
		{"empty password", update(`{` + a + `,"password":""}`), `"success":["a"]`, same},
		{"stars", update(`{` + a + `,"password":"***"}`), `"success":["a"]`, same},
		{"extra back", update(`{` + a + `,"extra":"{\"token\":\"***\"}"}`), `"success":["a"]`, same},
		{"empty extra", update(`{` + a + `,"extra":""}`), `"success":["a"]`,
			with(func(c *sandbox.Connection) { c.Extra = "{}" })},
		{"mask is ignored", update(`{`+a+`,"host":"x"}`, `,"update_mask":["password"]`), `"success":["a"]`,
			with(func(c *sandbox.Connection) { c.Host = "x" })},
		{"one is missing", update(`{` + a + `,"password":"new"},{"connection_id":"b","conn_type":"docker"}`),
			`{"errors":[{"error":"The connections with these connection_ids: {'b'} were not ` +
				`found.","status_code":404}],"success":[]}`, old},
		{"skip", update(`{`+a+`,"password":"new"},{"connection_id":"b","conn_type":"docker"}`,
			`,"action_on_non_existence":"skip"`),
			`{"errors":[],"success":["a"]}`, with(func(c *sandbox.Connection) { c.Password = "new" })},
		{"twice", update(`{` + a + `},{` + a + `,"password":"last"}`), `"success":["a","a"]`,
			with(func(c *sandbox.Connection) { c.Password = "last" })},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, sandbox.Options{})
			s.Airflow.SetConnection(old)
			x := exchange{"", "PATCH /api/v2/connections", login(t, s, "refresher"), test.body, 200, test.want}
			x.run(t, s, jsonType)
			if got, _ := s.Airflow.Connection("a"); got != test.stored {
				t.Errorf("stored %+v\nwant   %+v", got, test.stored)
			}
		})
	}
}

func TestAirflowHandsConnectionsToTasks(t *testing.T) {
	s := start(t, sandbox.Options{})
	c, _ := s.Airflow.Connection("docker_default")
	token := "Bearer " + environ(s.Environ(), sandbox.TaskToken)
	const call = "GET /execution/connections/docker_default"
	for _, x := range []exchange{
		{"task", call, token, "", 200, `"password":"` + c.Password + `"`},
		{"missing", "GET /execution/connections/nope", token, "", 404,
			`{"detail":{"message":"Connection with ID nope not found","reason":"not_found"}}`},
		{"nobody", call, "", "", 401, `{"detail":"Missing auth token"}`},
		{"user", call, login(t, s, "refresher"), "", 403, `{"detail":"Invalid auth token"}`},
	} {
		x.run(t, s, "")
	}
}
