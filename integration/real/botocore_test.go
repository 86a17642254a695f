package real

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/steps/ecr"
)

// TestRealAWSFiles holds what is read of AWS's two files to botocore itself: retry modes, a BOM, in each of both.
func TestRealAWSFiles(t *testing.T) {
	const keys = "aws_access_key_id = a\naws_secret_access_key = s\n"
	var cases []peers.AWSFiles
	for _, mode := range []string{
		"", "retry_mode = legacy", "retry_mode=legacy ", " retry_mode = legacy", "RETRY_MODE = legacy",
		"retry_mode: legacy",
		"retry_mode = standard", "retry_mode = adaptive", "retry_mode = Legacy", "retry_mode = other",
		"retry_mode = legacy x", "# retry_mode = legacy",
	} {
		for _, bom := range []string{"", "\ufeff"} {
			cases = append(cases,
				peers.AWSFiles{Config: bom + "[profile p]\n" + keys + mode + "\n", Profile: "p"},
				peers.AWSFiles{Config: "[profile q]\n" + mode + "\n[profile p]\n" + keys, Profile: "p"},
				peers.AWSFiles{Config: bom + "[default]\r\n" + keys + mode + "\r\n"},
				peers.AWSFiles{Config: "[profile p]\n" + mode, Credentials: bom + "[p]\n" + keys, Profile: "p"},
				peers.AWSFiles{Config: "", Credentials: bom + "[p]\n" + keys + mode, Profile: "p"})
		}
	}
	want, err := peers.BotocoreKeys(t.Context(), os.Getenv("AIRFLOW"), cases)
	must(t, err)
	found := 0
	for i, c := range cases {
		if got := keyOf(t, c); got != want[i] {
			t.Errorf("%q: %q, botocore: %q", c, got, want[i])
		}
		found += len(want[i])
	}
	if found < 20 || found > len(cases)-20 {
		t.Errorf("%d of %d cases have a key", found, len(cases))
	}
}

// keyOf returns the access key that step 1 finds, or "".
func keyOf(t *testing.T, c peers.AWSFiles) string {
	t.Helper()
	for env, text := range map[string]string{
		"AWS_CONFIG_FILE": c.Config, "AWS_SHARED_CREDENTIALS_FILE": c.Credentials,
	} {
		t.Setenv(env, filepath.Join(t.TempDir(), "file"))
		must(t, os.WriteFile(os.Getenv(env), []byte(text), 0o600))
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	allow, log := func(*url.URL) error { return nil }, slog.New(slog.DiscardHandler)
	cfg, err := ecr.DefaultConfig(x509.NewCertPool(), nil, allow, log)(ctx, c.Profile, "us-east-1")
	if err != nil {
		return ""
	}
	found, err := cfg.Credentials.Retrieve(ctx)
	if err != nil || strings.TrimSpace(found.AccessKeyID) == "" {
		return ""
	}
	return found.AccessKeyID
}
