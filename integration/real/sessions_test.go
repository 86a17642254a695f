package real

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// revoked: somebody revokes the JWT between two calls, and one new login is enough; the step revokes its own at its
// end. Airflow 3.2 brought the table for revoked JWTs: before, a logout revokes none, and one is valid for a day.
func (w *world) revoked(t *testing.T) {
	revokes := !strings.HasPrefix(os.Getenv("AIRFLOW"), "3.0.") && !strings.HasPrefix(os.Getenv("AIRFLOW"), "3.1.")
	h := w.shell(t, "session_revoked")
	h.Extract(t).Want(t, 0)
	var logins, changes atomic.Int32
	var own atomic.Value
	api := front(t, func(r *http.Request) string {
		switch {
		case r.URL.Path == "/auth/token":
			logins.Add(1)
		case r.Method == http.MethodPatch && changes.Add(1) == 1:
			w.get(t, "/api/v2/auth/logout", r.Header.Get("Authorization")) // the owner's right
		case strings.HasSuffix(r.URL.Path, "/auth/logout"):
			own.Store(r.Header.Get("Authorization"))
		}
		return w.Airflow.URL
	})
	h.Update(t, "ECR_REFRESH_AIRFLOW_URL="+api.URL).Want(t, 0)
	h.WantPassword(t, h.Issued())
	if got, want := logins.Load(), map[bool]int32{true: 2, false: 1}[revokes]; got != want {
		t.Errorf("%d logins, want %d", got, want)
	}
	if accepted := w.accepts(t, own.Load().(string)); accepted == revokes {
		t.Errorf("after the step Airflow accepts its JWT: %v", accepted)
	}
}

// strangers: the API server that takes the calls knows nothing of the secret of the one that takes the logins.
func (w *world) strangers(t *testing.T) {
	h := w.shell(t, "session_stranger")
	h.Extract(t).Want(t, 0)
	stranger, err := w.Airflow.StartStranger(t.Context())
	must(t, err)
	var logins atomic.Int32
	api := front(t, func(r *http.Request) string {
		if r.URL.Path == "/auth/token" {
			logins.Add(1)
			return stranger
		}
		return w.Airflow.URL
	})
	h.Update(t, "ECR_REFRESH_AIRFLOW_URL="+api.URL).Want(t, 2,
		"the JWT of a new login is rejected: airflow answered 403: Invalid JWT token", "jwt_secret")
	h.WantOld(t)
	if got := logins.Load(); got != 2 {
		t.Errorf("%d logins, want 2", got)
	}
}

// accepts reports whether Airflow accepts a JWT of a user who may read connections: one that is revoked gets 403, as a
// user without the right does.
func (w *world) accepts(t *testing.T, authorization string) bool {
	return w.get(t, "/api/v2/connections?limit=1", authorization) == http.StatusOK
}

// get returns the status that Airflow answers. It follows no redirect.
func (w *world) get(t *testing.T, path, authorization string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Airflow.URL+path, nil)
	must(t, err)
	req.Header.Set("Authorization", authorization)
	req.AddCookie(&http.Cookie{Name: "_token", Value: strings.TrimPrefix(authorization, "Bearer ")}) // Airflow 3.2's
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Error(err) // not must: a server of the test calls this, too
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// front stands between a step and Airflow's API: each request goes to the API server that choose returns for it.
func front(t *testing.T, choose func(*http.Request) (url string)) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, err := url.Parse(choose(r))
		if err != nil {
			t.Error(err)
			return
		}
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}
