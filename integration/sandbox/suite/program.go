package suite

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds ecr-refresh in a folder and returns its path, unless ECR_REFRESH_BIN names a binary.
func Build(dir string) (string, error) {
	if binary := os.Getenv("ECR_REFRESH_BIN"); binary != "" {
		return binary, nil
	}
	binary := filepath.Join(dir, "bin", "ecr-refresh")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-tags=urfave_cli_no_docs", "-o", binary,
		"ecr-refresh/cmd/ecr-refresh")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ecr-refresh: %w\n%s", err, out)
	}
	return binary, nil
}

// Fingerprint is what the results of the steps show of a token.
func Fingerprint(token string) string { return fmt.Sprintf("%.6x", sha256.Sum256([]byte(token))) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
