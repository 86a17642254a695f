package real

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/readme"
)

// The readers of files that the pages show: docker compose's own, and one with Kubernetes' schemas.
const (
	composeReader    = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
	kubernetesReader = "kubernetes-validate==1.37.0"
)

// official has the services of Airflow's docker-compose.yaml, as far as the override needs them.
const official = `
x-env: &env {AIRFLOW__CORE__FERNET_KEY: "${FERNET_KEY}"}
x-common: &common
  {image: "apache/airflow:3.3.2", user: "50000:0", environment: *env, env_file: [{path: .env, required: false}]}
services:
  airflow-init: *common
  airflow-apiserver: {<<: *common, command: api-server}
  airflow-scheduler: {<<: *common, command: scheduler}
  airflow-dag-processor: {<<: *common, command: dag-processor}
  airflow-triggerer: {<<: *common, command: triggerer}
  airflow-worker:
    <<: *common
    command: celery worker
    volumes: ["./dags:/opt/airflow/dags"]
    environment: {<<: *env, DUMB_INIT_SETSID: "0"}
`

// page returns the blocks of a kind in a page of docs.
func page(t *testing.T, path, kind string) (blocks []readme.Block) {
	t.Helper()
	for _, b := range readme.Read(t, filepath.Join(root, "docs", path)) {
		if b.Kind == kind {
			blocks = append(blocks, b)
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no block of kind %s", path, kind)
	}
	return blocks
}

// TestRealDocs hands the files that the pages show to the programs that read such files.
func TestRealDocs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	t.Run("compose", func(t *testing.T) {
		text := page(t, "deploy/compose.md", "compose")[0].Text
		base := write("docker-compose.yaml", official)
		override := write("docker-compose.override.yaml", text)
		read := []string{"go", "run", composeReader, base, override}
		wantOutput(t, read, "FERNET_KEY is not set in .env")
		required := regexp.MustCompile(`\$\{(\w+):\?[^}]*\}`) // this reader of models has no environment
		write("docker-compose.override.yaml", required.ReplaceAllString(text, "of-$1"))
		model := wantOutput(t, read, "")
		for want, times := range map[string]int{
			"- AIRFLOW__CORE__FERNET_KEY=of-FERNET_KEY":     strings.Count(official, "*common"),
			"command: celery worker -q default,systemqueue": 1, "- of-DOCKER_GID": 1, "- DUMB_INIT_SETSID=0": 1,
			"target: /opt/airflow/dags": 1, "source: /var/run/docker.sock": 1,
		} {
			if strings.Count(model, want) != times {
				t.Errorf("not %d times %q in\n%s", times, want, model)
			}
		}
	})
	t.Run("systemd", func(t *testing.T) {
		for _, path := range []string{"deploy/celery.md", "deploy/cron.md"} {
			for _, b := range readme.Read(t, filepath.Join(root, "docs", path)) {
				if b.Kind == "service" || b.Kind == "timer" {
					text := regexp.MustCompile(`ExecStart=\S+`).ReplaceAllString(b.Text, "ExecStart=/bin/true")
					unit := write("ecr-refresh."+b.Kind, text)
					if out := wantOutput(t, []string{"systemd-analyze", "verify", unit}, ""); out != "" {
						t.Errorf("%s: %s", b, out)
					}
				}
			}
		}
	})
	t.Run("kubernetes", func(t *testing.T) {
		manifest := write("ecr-refresh.yaml", page(t, "deploy/kubernetes.md", "kubernetes")[0].Text)
		wantOutput(t, []string{uv(t), "tool", "run", kubernetesReader, "--strict", manifest}, "")
	})
	t.Run("python", func(t *testing.T) {
		for _, b := range page(t, "deploy/README.md", "python") {
			wantOutput(t, []string{"python3", "-c", "import sys; compile(sys.argv[1], '', 'exec')", b.Text}, "")
		}
	})
	t.Run("settings of Airflow", airflowSettings)
}

// wantOutput returns the output of a command that succeeds or, with an error, fails with it.
func wantOutput(t *testing.T, argv []string, failure string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if (err == nil) != (failure == "") || !strings.Contains(string(out), failure) {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// uv is the installer that install.sh has installed Airflow with.
func uv(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("uv"); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	must(t, err)
	return filepath.Join(cache, "ecr-refresh", "uv", "bin", "uv")
}

const unknownSettings = `
import re, sys
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()
for section, option in set(re.findall(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+)", sys.stdin.read())):
    if option.lower() not in conf.configuration_description[section.lower()]["options"]:
        print(section, option)
`

// airflowSettings: Airflow has each of its settings that a document names.
func airflowSettings(t *testing.T) {
	var all strings.Builder
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/deploy/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		must(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			must(t, err)
			all.Write(text)
		}
	}
	python, err := peers.Program(os.Getenv("AIRFLOW"), "python")
	must(t, err)
	cmd := exec.Command(python, "-c", unknownSettings)
	cmd.Env = append(os.Environ(), "AIRFLOW_HOME="+t.TempDir())
	cmd.Stdin = strings.NewReader(all.String())
	out, err := cmd.Output()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\nAirflow has no setting %s", err, out)
	}
}
