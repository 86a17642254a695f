package input

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/secret"
)

// An Airflow that does not answer any more delays no command that has its result.
func TestLogOutDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/auth/token") {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"access_token":"a.b.c"}`)
	}))
	defer server.Close()
	client, err := airflowclient.New(airflowclient.Config{BaseURL: server.URL, Login: "u", Password: secret.New("p")})
	if err == nil {
		_, err = client.SimpleRole(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	LogOut(t.Context(), client)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
}
