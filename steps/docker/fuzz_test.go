package docker_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// FuzzConfig: whatever the file holds, nothing panics, no login of it is repeated, and a bad file is an error.
func FuzzConfig(f *testing.F) {
	const planted = "hunter22hunter22"
	f.Add(`{"auths":{"h":{"auth":"QVdTOmh1bnRlcjIyaHVudGVyMjI="}},"credHelpers":{},"proxies":{"default":{}}}`)
	f.Add(`{"h":{"auth":"QVdTOmh1bnRlcjIyaHVudGVyMjI=","identitytoken":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "cred") { // would run a program
			return
		}
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := docker.ReadConfig(path)
		for _, reauth := range []bool{true, false} {
			warning, failed := config.Check(t.Context(), docker.Pull{
				Server: "h", Registry: "h", Username: "AWS", Reauth: reauth,
				Accepts: func(context.Context, string, string, secret.Secret) error { return registry.ErrRejected },
			})
			for _, said := range []error{err, warning, failed} {
				if said != nil && strings.Contains(said.Error(), planted) {
					t.Errorf("%q: %v", text, said)
				}
			}
		}
	})
}

// FuzzHost: an address that is taken leads somewhere, and none is repeated that holds a login.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"unix:///run/docker.sock", "tcp://h:1", "h:2376", "http+unix://%2fx", "ssh://u@h"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		engine, err := docker.NewEngine(host, "", false)
		switch {
		case err == nil && (engine == nil || strings.Contains(host, "@")):
			t.Errorf("%q is taken", host)
		case err != nil && strings.Contains(host, "@") && strings.Contains(err.Error(), host):
			t.Errorf("%q is repeated: %v", host, err)
		}
	})
}

// FuzzAnswer: whatever Docker answers, nothing panics, an error is short and on one line, and a login succeeds at most
// with 200.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"Status":"Login Succeeded"}`)
	f.Add(500, "application/json", `{"message":"… failed with status: 401 Unauthorized"}`)
	f.Add(307, "text/html", "<html>")
	f.Fuzz(func(t *testing.T, status int, form, body string) {
		if status < 200 || status > 999 {
			return
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", form)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		defer server.Close()
		engine, err := docker.NewEngine(server.URL, "", false)
		if err != nil {
			t.Fatal(err)
		}
		_, err = engine.Login(t.Context(), "h", "AWS", secret.New("password"))
		var wrong bool
		if err == nil {
			wrong = status != http.StatusOK
		} else {
			wrong = len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\n\x1b")
		}
		if wrong {
			t.Errorf("%d, %q, %q: %v", status, form, body, err)
		}
	})
}
