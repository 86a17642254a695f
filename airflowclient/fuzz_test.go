package airflowclient

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/steps/secret"
)

// FuzzAnswer: whatever Airflow answers to a bulk update, nothing panics, each connection that it does not report as
// updated has an error, and no error has the password, or more than a line.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"update":{"success":["a"],"errors":[{"error":"b","status_code":404}]}}`)
	f.Add(422, "application/json", `{"detail":[{"loc":["body"],"msg":"no","input":"hunter22hunter22"}]}`)
	f.Add(409, "application/json", `{"detail":{"reason":"x","message":"hunter22hunter22"}}`)
	f.Add(302, "text/html", "<html>")
	f.Fuzz(func(t *testing.T, status int, form, body string) {
		if status < 200 || status > 999 || status == 408 || status == 425 || status == 429 || status >= 500 {
			return // repeated, after a wait
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", form)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		defer server.Close()
		c, err := New(Config{BaseURL: server.URL, Token: secret.New("token")})
		if err != nil {
			t.Fatal(err)
		}
		c.shortest, c.longest = 1, 1 // waits
		password := secret.New("hunter22hunter22")
		failed := c.UpdateConnections(t.Context(), []Update{
			{ID: "a", Type: "docker", Password: password}, {ID: "b", Type: "docker", Password: password}})
		var answer struct{ Update struct{ Success []string } }
		_ = json.Unmarshal([]byte(body), &answer)
		for _, id := range []string{"a", "b"} {
			err := failed[id]
			if err == nil && !slices.Contains(answer.Update.Success, id) {
				t.Errorf("%d, %q, %q: %s is said to be updated", status, form, body, id)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter22") || strings.ContainsAny(err.Error(), "\n\x1b")) {
				t.Errorf("%d, %q, %q: %v", status, form, body, err)
			}
		}
	})
}

// FuzzTexts: texts of a log, an XCom, an event and a JWT are anything; nothing panics.
func FuzzTexts(f *testing.F) {
	f.Add(`{"event":"a","level":"error","error_detail":[{"exc_type":"E","exc_value":"v"}]}`)
	f.Add(`"\"\\\"a\\\"\""`)
	f.Add("a.eyJyb2xlIjoib3AifQ.b")
	f.Fuzz(func(_ *testing.T, text string) {
		_ = new(LogEvent).UnmarshalJSON([]byte(text))
		_ = unquoted(text)
		_ = claims(text)
		_ = ConnectionEvent{Extra: text}.Concerns(text)
	})
}
