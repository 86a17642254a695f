package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
)

// Check must agree with what a real docker-py pulled with.
func TestDockerConfigAgreesWithDockerPy(t *testing.T) {
	withHelpers(t)
	text, err := os.ReadFile("testdata/docker_config.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Registry string
		Rows     []struct {
			Name, Server string
			Config       json.RawMessage
			Reauth       *bool
			PullsWith    string `json:"pulls_with"`
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Rows) < 50 {
		t.Fatalf("%d rows: %v", len(golden.Rows), err)
	}
	for _, row := range golden.Rows {
		t.Run(row.Name, func(t *testing.T) {
			reauthOff := row.Reauth != nil && !*row.Reauth
			login := docker.Login{Server: row.Server, Registry: golden.Registry, Username: "AWS", ReauthOff: reauthOff}
			warning, err := readConfig(t, string(row.Config)).Check(t.Context(), login)
			switch {
			case row.PullsWith == "fresh" && err != nil,
				row.PullsWith == "none" && err == nil && warning == nil,
				row.PullsWith != "fresh" && row.PullsWith != "none" && err == nil:
				t.Errorf("docker-py pulls with %s; warning %v, error %v", row.PullsWith, warning, err)
			case err != nil && (!failure.IsPermanent(err) || !strings.Contains(err.Error(), "config.json")):
				t.Errorf("error %v of kind %q", err, kindOf(err))
			case strings.Contains(fmt.Sprint(warning, err), "S3CRET"):
				t.Errorf("repeats what the helper printed: %v", err)
			}
		})
	}
}

func kindOf(err error) failure.Kind {
	kind, _ := failure.Describe(err)
	return kind
}

// withHelpers puts the credential helpers of testdata on PATH.
func withHelpers(t *testing.T) {
	t.Helper()
	folder, err := filepath.Abs("testdata/helpers")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// A helper that hangs ends with the run.
func TestDockerConfigHelperHangs(t *testing.T) {
	withHelpers(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	config := readConfig(t, `{"credsStore":"hangs"}`)
	_, err := config.Check(ctx, docker.Login{Server: "r.example.com", Registry: "r.example.com"})
	wantKind(t, err, docker.HelperFails, "docker-credential-hangs does not answer", "docker-credential-hangs")
}

func TestDockerConfigNamesTheEntry(t *testing.T) {
	withHelpers(t)
	const host = "r.example.com"
	for _, row := range []struct {
		config, server, want string
		kind                 failure.Kind
	}{
		{`{"auths":{"r.example.com":{}}}`, host, `has an auths entry "r.example.com"`, docker.HarmlessEntry},
		{`{"auths":{"http://r.example.com/v1/":{}}}`, host, `"http://r.example.com/v1/"`, docker.HarmlessEntry},
		{`{"auths":{"r.example.com":{},"other":{}}}`, "https://" + host, `["r.example.com"] wins`, docker.EntryWins},
		{`{"credsStore":"works"}`, host, `entry credsStore = "works" wins`, docker.EntryWins},
		{`{"credHelpers":{"r.example.com":"works"}}`, host, `["r.example.com"] = "works" wins`, docker.EntryWins},
		{`{"credsStore":"missing"}`, host, `credsStore = "missing": docker-credential-missing is not on PATH`,
			docker.HelperFails},
		{`{"credHelpers":{"r.example.com":"broken"}}`, host, `= "broken": docker-credential-broken fails`,
			docker.HelperFails},
		{`{"credsStore":"empty"}`, host, "", ""},
		{`{"auths":{"other":{"auth":"S3CRET"}}}`, host, `Docker task fails: entry auths["other"]`, docker.BadEntry},
		{`{}`, host + ":443", `log in to "r.example.com:443"`, docker.OtherServer},
		{`{"auths":{"other":{}},"credHelpers":{"other":"x"}}`, host, "", ""},
	} {
		warning, err := readConfig(t, row.config).Check(t.Context(), docker.Login{Server: row.server, Registry: host})
		if err == nil {
			err = warning
		}
		got := fmt.Sprint(err)
		if !strings.Contains(got, row.want) || (row.want == "") != (err == nil) || kindOf(err) != row.kind {
			t.Errorf("%s, %s: %q of kind %q, want %q", row.config, row.server, got, kindOf(err), row.want)
		}
	}
}

// With reauth off, docker-py keeps an entry that it finds, if that is of the same user.
func TestDockerConfigKeepsAnEntryOfTheSameUser(t *testing.T) {
	t.Parallel()
	config := readConfig(t, `{"auths":{"r.example.com":{"auth":"QVdTOm9sZA=="}}}`)
	login := docker.Login{Server: "r.example.com", Registry: "r.example.com", Username: "AWS", ReauthOff: true}
	_, err := config.Check(t.Context(), login)
	if _, facts := failure.Describe(err); kindOf(err) != docker.EntryWins || facts.Want != login.Registry {
		t.Errorf("%v of kind %q, %+v", err, kindOf(err), facts)
	}
	login.Username = "somebody"
	if _, err := config.Check(t.Context(), login); err != nil {
		t.Errorf("another user's entry: %v", err)
	}
}

func TestReadDockerConfig(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	config, err := docker.ReadConfig(filepath.Join(folder, "config.json"))
	if err != nil {
		t.Errorf("a missing file: %v", err)
	}
	login := docker.Login{Server: "r", Registry: "r"}
	if warning, err := config.Check(t.Context(), login); warning != nil || err != nil {
		t.Errorf("a missing file: %v, %v", warning, err)
	}
	for name, text := range map[string]string{
		"not JSON":     `{"auths":{"r":{"auth":"S3CRET"}}`,
		"another kind": `["S3CRET"]`,
		"credsStore":   `{"credsStore":["S3CRET"]}`,
		"too long":     strings.Repeat(" ", 1<<20) + "{}",
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := docker.ReadConfig(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, path := range map[string]string{
		"folder": folder, "device": os.DevNull, "below a file": filepath.Join(folder, "not JSON", "config.json"),
	} {
		if _, err := docker.ReadConfig(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func readConfig(t *testing.T, text string) docker.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := docker.ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}
