package real

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

const (
	image = "ecr-refresh:latest"
	// largestImage bounds what the image takes on a worker's disk.
	largestImage = 17 << 20
	// caInContainer is where the certificates of the peers lie in containers of the test.
	caInContainer = "/peers.pem"
)

// engine is a client of the Engine of its own: what the tests prove must not rest on the product's.
func (w *world) engine(t *testing.T) *client.Client {
	t.Helper()
	engine, err := client.NewClientWithOpts(client.WithHost(w.Docker.Host), client.WithAPIVersionNegotiation())
	must(t, err)
	t.Cleanup(func() { must(t, engine.Close()) })
	return engine
}

// loadImage packs the binary into its image and loads that, as the README says.
func (w *world) loadImage(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "image.tar")
	out, err := exec.CommandContext(t.Context(), "go", "run", "ecr-refresh/cmd/ecr-image",
		"--binary", w.bin, "--output", archive, "--tag", image).CombinedOutput()
	if err != nil {
		t.Fatalf("pack the image: %v\n%s", err, out)
	}
	file, err := os.Open(archive)
	must(t, err)
	defer file.Close()
	engine := w.engine(t)
	answer, err := engine.ImageLoad(t.Context(), file, client.ImageLoadWithQuiet(true))
	must(t, err)
	must(t, answer.Body.Close())
	loaded, err := engine.ImageInspect(t.Context(), image)
	must(t, err)
	t.Logf("the image takes %.1f MiB", float64(loaded.Size)/(1<<20))
	if loaded.Size > largestImage {
		t.Errorf("the image takes %d bytes, and may take %d", loaded.Size, largestImage)
	}
}

// containerEnv is what a container lacks of the worker's environment, and more.
func (w *world) containerEnv(more map[string]string) map[string]string {
	env := map[string]string{"ECR_REFRESH_CA_FILE": caInContainer, "AWS_EC2_METADATA_DISABLED": "true"}
	for _, entry := range w.Airflow.Environ() {
		if name, value, _ := strings.Cut(entry, "="); name == "HTTPS_PROXY" || name == "NO_PROXY" {
			env[name] = value
		}
	}
	maps.Copy(env, more)
	return env
}

// containerEdits lead the DAG with DockerOperator to the peers.
func (w *world) containerEdits() []string {
	return []string{
		`MOUNTS = []`, fmt.Sprintf(`MOUNTS = [{"target": %q, "source": %q, "type": "bind", "read_only": True}]`,
			caInContainer, w.CAFile()),
		`SOCKET = "/var/run/docker.sock"`, fmt.Sprintf(`SOCKET = %q`, w.Docker.Socket),
		`"ecr_refresh_recipient"`, `"docker_recipient"`,
		`"ecr_refresh_private_key"`, `"docker_private_key"`,
	}
}

// dockerOperator runs the DAG with two connections, and follows the token as deployed does.
func (w *world) dockerOperator(t *testing.T) {
	must(t, w.Airflow.Deploy(dags.Template(dags.Docker)))

	d := w.copy(t, "two", variant{docker: true, edits: []string{`"docker_in_two"`, `"docker_in_two, docker_in_more"`}})
	w.setDocker(t, "docker_in_more", peers.SandboxHost)
	r := d.run(t)
	r.wantGreen(t)
	token := d.Password(t, d.connection)
	if d.Password(t, "docker_in_more") != token {
		t.Error("the connections hold different passwords")
	}
	for _, c := range r.result(t, update).Connections {
		if c.Fingerprint != suite.Fingerprint(token) {
			t.Errorf("the result of step 2 has %+v, and Airflow stores %s", c, suite.Fingerprint(token))
		}
	}
	r.wantNoPiece(t, token, w.identity.PrivateKey, w.Sandbox.ECR.Credentials().SecretAccessKey,
		w.Airflow.Users["op"].Password)
	r.wantLog(t, test, "tasks read the new token", "Login Succeeded")
	w.wantSound(t, dockerDAG)
}

// noContainer: when no task runs any more, the Engine has no container, ended or not.
func (w *world) noContainer(t *testing.T) {
	left, err := w.engine(t).ContainerList(t.Context(), container.ListOptions{All: true})
	must(t, err)
	if len(left) > 0 {
		t.Errorf("containers are left: %+v", left)
	}
}

// dockerNoIdentity: two containers share no file, so that there is no identity without the two Variables.
func (w *world) dockerNoIdentity(t *testing.T) {
	w.copy(t, "no_identity", variant{docker: true, edits: []string{`"docker_recipient"`, `"no_such_variable"`}}).run(t).
		wantRed(t, extract, 2, "store private key", "ecr-refresh keygen")
	w.copy(t, "no_key", variant{docker: true, edits: []string{`"docker_private_key"`, `"no_such_variable"`}}).run(t).
		wantRed(t, update, 2, w.identity.Recipient, "ecr-refresh keygen")
}

// dockerInstanceRole: without connection aws_default, a container has the role of the instance, over the host's
// network, from a metadata service (IMDSv2).
func (w *world) dockerInstanceRole(t *testing.T) {
	role := w.Sandbox.ECR.Credentials()
	const path = "GET /latest/meta-data/iam/security-credentials/"
	answers := map[string]string{
		"PUT /latest/api/token": "session",
		path:                    "ecr-refresh",
		path + "ecr-refresh": asJSON(map[string]any{
			"Code": "Success", "AccessKeyId": role.AccessKeyID, "SecretAccessKey": role.SecretAccessKey,
			"Token": role.SessionToken, "Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		}),
	}
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(metadata.Close)
	env := map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL}
	d := w.copy(t, "role", variant{docker: true, env: env,
		edits: []string{`AWS = "aws_default"`, `AWS = "no_such_connection"`}})
	d.run(t).wantGreen(t)
	if d.Password(t, d.connection) == d.old {
		t.Error("nothing was published")
	}
}
