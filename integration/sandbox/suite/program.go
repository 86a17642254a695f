package suite

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build puts ecr-refresh into a folder and returns its path, unless ECR_REFRESH_BIN names a binary. FAULTS_RACE=1
// builds it with the race detector. `go run` keeps what it linked: packages that need the same binary link it once.
func Build(dir string) (string, error) {
	if binary := os.Getenv("ECR_REFRESH_BIN"); binary != "" {
		return binary, nil
	}
	binary, race := filepath.Join(dir, "ecr-refresh"), os.Getenv("FAULTS_RACE") == "1"
	build := exec.Command("go", "run", "-ldflags=-s -w", "-tags=urfave_cli_no_docs", fmt.Sprintf("-race=%t", race),
		"-exec", `sh -c 'cp "$0" "`+binary+`"'`, "ecr-refresh/cmd/ecr-refresh")
	build.Env = append(os.Environ(), "CGO_ENABLED="+map[bool]string{true: "1", false: "0"}[race])
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
