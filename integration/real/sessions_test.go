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

	"ecr-refresh/integration/sandbox/suite"
)

// revoked: somebody revokes the JWT between two calls, and one new login is enough; the step revokes its own at its
// end.
func (w *world) revoked(t *testing.T) {
	h := w.session(t, "session_revoked")
	var once atomic.Bool
	var own atomic.Value
	door := w.door(t, func(r *http.Request) string {
		if strings.HasSuffix(r.URL.Path, "/auth/logout") {
			own.Store(r.Header.Get("Authorization"))
		}
		if r.Method == http.MethodPatch && once.CompareAndSwap(false, true) {
			w.revoke(t, r.Header.Get("Authorization"))
		}
		return w.Airflow.URL
	})
	h.Update(t, "ECR_REFRESH_AIRFLOW_URL="+door.URL).Want(t, 0)
	h.WantPassword(t, h.Issued())
	door.wantLogins(t, map[bool]int64{true: 2, false: 1}[revokes(os.Getenv("AIRFLOW"))])
	if taken := w.takes(t, own.Load().(string)); taken == revokes(os.Getenv("AIRFLOW")) {
		t.Errorf("after the step Airflow takes its JWT: %v", taken)
	}
}

// takes reports whether Airflow accepts a JWT of a user who may read connections: one that is revoked gets 403, as a
// user without the right does.
func (w *world) takes(t *testing.T, authorization string) bool {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		w.Airflow.URL+"/api/v2/connections?limit=1", nil)
	must(t, err)
	req.Header.Set("Authorization", authorization)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, resp.Body.Close())
	return resp.StatusCode == http.StatusOK
}

// revokes reports whether the logout of a release revokes a JWT: 3.2 brought the table for it. Before, one is valid for
// a day.
func revokes(release string) bool {
	return !strings.HasPrefix(release, "3.0.") && !strings.HasPrefix(release, "3.1.")
}

// strangers: the API server that takes the calls knows nothing of the secret of the one that takes the logins.
func (w *world) strangers(t *testing.T) {
	h := w.session(t, "session_stranger")
	stranger, err := w.Airflow.StartStranger(t.Context())
	must(t, err)
	door := w.door(t, func(r *http.Request) string {
		if r.URL.Path == "/auth/token" {
			return stranger
		}
		return w.Airflow.URL
	})
	h.Update(t, "ECR_REFRESH_AIRFLOW_URL="+door.URL).Want(t, 2,
		"the JWT of a new login is rejected: airflow answered 403: Invalid JWT token", "jwt_secret")
	h.WantOld(t)
	door.wantLogins(t, 2)
}

// session is a person who holds a token for a connection.
func (w *world) session(t *testing.T, id string) suite.Shell {
	t.Helper()
	h := suite.Shell{Site: realSite{w}, Binary: w.bin, Dir: t.TempDir(), ConnectionID: id}
	h.Connect(t, id, h.Host(), suite.OldPassword(id))
	h.Extract(t).Want(t, 0)
	return h
}

// revoke logs out, as the owner of the JWT may.
func (w *world) revoke(t *testing.T, authorization string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Airflow.URL+"/api/v2/auth/logout", nil)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Authorization", authorization)
	req.AddCookie(&http.Cookie{Name: "_token", Value: strings.TrimPrefix(authorization, "Bearer ")}) // for Airflow 3.2
	// which follows no redirect
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	_ = resp.Body.Close()
}

// door leads each request to the API server that is chosen for it, and counts the logins.
type door struct {
	*httptest.Server
	logins atomic.Int64
}

func (w *world) door(t *testing.T, choose func(*http.Request) string) *door {
	t.Helper()
	d := new(door)
	d.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/token" {
			d.logins.Add(1)
		}
		target, err := url.Parse(choose(r))
		if err != nil {
			t.Error(err)
			return
		}
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(rw, r)
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *door) wantLogins(t *testing.T, want int64) {
	t.Helper()
	if got := d.logins.Load(); got != want {
		t.Errorf("%d logins, want %d", got, want)
	}
}
