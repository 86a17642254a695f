package input

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps/failure"
)

// Certificates without DOCKER_TLS_VERIFY verify nobody: a warning, or an error where https is required; not on this
// machine, and not on a socket.
func TestDockerVerifiesWhoAnswers(t *testing.T) {
	ca, err := sandbox.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ca.KeyPEM()
	dir := t.TempDir()
	for name, text := range map[string][]byte{"ca.pem": ca.PEM(), "cert.pem": ca.PEM(), "key.pem": key} {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CERT_PATH", dir)
	const unverified = "://docker.example.com:2376 verifies no certificate: anybody may get the token"
	for _, row := range []struct {
		host, verify string
		want         string
	}{
		{"tcp://docker.example.com:2376", "", unverified},
		{"https://docker.example.com:2376", "", unverified},
		{"docker.example.com:2376", "", unverified},
		{"tcp://docker.example.com:2376", "1", ""},
		{"tcp://localhost:2376", "", ""},
		{"127.0.0.1:2376", "", ""},
		{"unix:///var/run/docker.sock", "", ""},
	} {
		t.Setenv("DOCKER_HOST", row.host)
		t.Setenv("DOCKER_TLS_VERIFY", row.verify)
		for _, required := range []string{"", "true"} {
			t.Setenv("ECR_REFRESH_REQUIRE_HTTPS", required)
			var log bytes.Buffer
			r := reader(nil)
			r.Log = slog.New(slog.NewTextHandler(&log, nil))
			engine, fault := r.Docker(), r.Err()
			kind, _ := failure.Describe(fault)
			wantFault := row.want != "" && required != ""
			if (fault != nil) != wantFault || fault != nil && (kind != Unencrypted || !failure.IsPermanent(fault)) {
				t.Errorf("%+v, required %q: %v of kind %q", row, required, fault, kind)
			}
			text := fmt.Sprint(fault, log.String())
			if engine == nil || !strings.Contains(text, row.want) || row.want == "" && strings.Contains(text, "TLS") {
				t.Errorf("%+v, required %q: %s", row, required, text)
			}
		}
	}
}
