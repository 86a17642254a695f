package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// Check must agree with what a real docker-py pulled with.
func TestDockerConfigAgreesWithDockerPy(t *testing.T) {
	withHelpers(t)
	text, err := os.ReadFile("testdata/docker_config.json")
	must(t, err)
	var golden struct {
		Registry string
		Rows     []struct {
			Name, Server string
			Config       json.RawMessage
			PullsWith    string `json:"pulls_with"`
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Rows) < 47 {
		t.Fatalf("%d rows: %v", len(golden.Rows), err)
	}
	for _, row := range golden.Rows {
		warning, err := readConfig(t, string(row.Config)).Check(t.Context(), rejecting(row.Server, golden.Registry))
		fresh, none := row.PullsWith == "fresh", row.PullsWith == "none"
		if fresh && err != nil || none && err == nil && warning == nil || !fresh && !none && err == nil {
			t.Errorf("%s: docker-py pulls with %s; warning %v, error %v", row.Name, row.PullsWith, warning, err)
		}
		if err != nil && (!failure.IsPermanent(err) || !strings.Contains(err.Error(), "config.json")) ||
			strings.Contains(fmt.Sprint(warning, err), "S3CRET") {
			t.Errorf("%s: warning %v, error %v", row.Name, warning, err)
		}
	}
}

// rejecting is a pull from a registry that rejects each login of the file.
func rejecting(server, host string) docker.Pull {
	return docker.Pull{
		Server: server, Registry: host, Username: "AWS", Reauth: true,
		Accepts: func(context.Context, string, string, secret.Secret) error { return registry.ErrRejected },
	}
}

// withHelpers puts the credential helpers of testdata on PATH.
func withHelpers(t *testing.T) {
	t.Helper()
	folder, err := filepath.Abs("testdata/helpers")
	must(t, err)
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestDockerConfigNamesTheEntry(t *testing.T) {
	withHelpers(t)
	const host, port, https = "r.example.com", "r.example.com:443", "https://r.example.com"
	for _, row := range []struct {
		config, server string
		kind           failure.Kind
		want           string
	}{
		{`{"auths":{"r.example.com":{"auth":"QTpC"}}}`, https, docker.EntryWins, `entry auths["r.example.com"], in`},
		{`{"credsStore":"works"}`, host, docker.EntryWins, `entry credsStore = "works", in place`},
		{`{"credHelpers":{"r.example.com":"works"}}`, host, docker.EntryWins, `s["r.example.com"] = "works", in`},
		{`{"credsStore":"missing"}`, host, docker.HelperFails, `docker-credential-missing is not on PATH`},
		{`{"credHelpers":{"r.example.com":"broken"}}`, host, docker.HelperFails, `docker-credential-broken fails`},
		{`{"auths":{"other":{"auth":"S3CRET"}}}`, host, docker.BadConfig, `Docker tasks fail: entry auths["other"]`},
		{`{}`, port, docker.OtherServer, `log in to "r.example.com:443"`},
		{`{"auths":{"other":{}},"credHelpers":{"other":"x"}}`, host, "", ""},
	} {
		warning, err := readConfig(t, row.config).Check(t.Context(), rejecting(row.server, host))
		if err == nil {
			err = warning
		}
		got := outcomeOf(err)
		if !strings.Contains(got.message, row.want) || got.kind != row.kind {
			t.Errorf("%s, %s: %+v, want %q of kind %q", row.config, row.server, got, row.want, row.kind)
		}
	}
}

// A helper that hangs ends with the run.
func TestDockerConfigHelperHangs(t *testing.T) {
	withHelpers(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := readConfig(t, `{"credsStore":"hangs"}`).Check(ctx, rejecting("r.example.com", "r.example.com"))
	kind, facts := failure.Describe(err)
	want := failure.Facts{Object: "docker-credential-hangs", Want: "r.example.com"}
	if !strings.HasSuffix(fmt.Sprint(err), "hangs does not answer") || kind != docker.HelperFails || facts != want {
		t.Errorf("%v of kind %q, %+v", err, kind, facts)
	}
}

// A helper that writes without an end is ended.
func TestDockerConfigHelperIsEndless(t *testing.T) {
	withHelpers(t)
	began := time.Now()
	_, err := readConfig(t, `{"credsStore":"endless"}`).Check(t.Context(), rejecting("r.example.com", "r.example.com"))
	if kind, _ := failure.Describe(err); kind != docker.HelperFails || time.Since(began) > 8*time.Second {
		t.Errorf("%v of kind %q after %s", err, kind, time.Since(began))
	}
}

func TestReadDockerConfig(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	config, err := docker.ReadConfig(filepath.Join(folder, "config.json"))
	must(t, err)
	warning, err := config.Check(t.Context(), rejecting("r", "r"))
	if warning != nil || err != nil {
		t.Errorf("a missing file: %v, %v", warning, err)
	}
	pipe := filepath.Join(folder, "pipe") // nobody writes to it
	must(t, syscall.Mkfifo(pipe, 0o600))
	paths := []string{folder, pipe}
	for name, text := range map[string]string{
		"not JSON": `{"auths":{"r":{"auth":"S3CRET"}}`,
		"too long": strings.Repeat(" ", 1<<20) + "{}",
	} {
		paths = append(paths, filepath.Join(folder, name))
		must(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	for _, path := range paths {
		_, err := docker.ReadConfig(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func readConfig(t *testing.T, text string) docker.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	config, err := docker.ReadConfig(path)
	must(t, err)
	return config
}

// A helper is a program, perhaps slow: where the login and the pull ask it the same, it is run once.
func TestDockerConfigAsksAHelperOnce(t *testing.T) {
	folder := t.TempDir()
	script := "#!/bin/sh\necho x >>" + filepath.Join(folder, "asked") +
		"\necho 'credentials not found in native keychain'\nexit 1\n"
	must(t, os.WriteFile(filepath.Join(folder, "docker-credential-counts"), []byte(script), 0o700))
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	const host = "r.example.com"
	warning, err := readConfig(t, `{"credsStore":"counts"}`).Check(t.Context(), rejecting(host, host))
	asked, _ := os.ReadFile(filepath.Join(folder, "asked"))
	if warning != nil || err != nil || string(asked) != "x\n" {
		t.Errorf("asked %q, %v, %v", asked, warning, err)
	}
}
