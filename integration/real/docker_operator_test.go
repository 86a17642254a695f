package real

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

const (
	dockerDAG = "refresh_docker_token_docker_v4"
	image     = "ecr-refresh:latest"
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
	archive := filepath.Join(w.Dir, "image.tar")
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
	t.Logf("the image takes %.1f MiB, its archive %.1f MiB", mib(loaded.Size), mib(size(t, archive)))
	if loaded.Size > largestImage {
		t.Errorf("the image takes %d bytes, and may take %d", loaded.Size, largestImage)
	}
	must(t, os.Remove(archive))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

// dockerCopy deploys the DAG with DockerOperator as copy does the other one; env is added to all containers.
func (w *world) dockerCopy(t *testing.T, name string, env map[string]string, edits ...string) *dag {
	t.Helper()
	d := &dag{world: w, id: "refresh_docker_" + name, connection: "docker_in_" + name}
	d.old = w.setDocker(t, d.connection, peers.SandboxHost)
	all := map[string]string{"ECR_REFRESH_CA_FILE": caInContainer, "AWS_EC2_METADATA_DISABLED": "true"}
	for _, name := range []string{"HTTPS_PROXY", "NO_PROXY"} {
		all[name] = lookup(w.Airflow.Environ(), name)
	}
	for name, value := range env {
		all[name] = value
	}
	_, text := rendered(t)
	d.deploy(t, text, append([]string{
		`"` + dockerDAG + `"`, `"` + d.id + `"`,
		`ENVIRONMENT = {}`, `ENVIRONMENT = ` + asJSON(all),
		`MOUNTS = []`,
		fmt.Sprintf(`MOUNTS = [{"target": %q, "source": %q, "type": "bind", "read_only": True}]`,
			caInContainer, w.CAFile()),
		`SOCKET = "/var/run/docker.sock"`, fmt.Sprintf(`SOCKET = %q`, w.Docker.Socket),
		`"ecr_refresh_recipient"`, `"docker_recipient"`,
		`"ecr_refresh_private_key"`, `"docker_private_key"`,
	}, edits...))
	return d
}

// rendered returns the DAG with DockerOperator.
func rendered(t *testing.T) (name, text string) {
	t.Helper()
	name, text, err := dags.Render(dags.Options{Operator: dags.Docker})
	must(t, err)
	return name, text
}

func lookup(environ []string, name string) string {
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

// identity is what keygen makes.
type identity struct {
	Recipient  string `json:"ecr_refresh_recipient"`
	PrivateKey string `json:"ecr_refresh_private_key"`
}

// setUpDocker adds to Airflow what the DAG with DockerOperator needs beside the other one's setup.
func (w *world) setUpDocker(t *testing.T) {
	t.Helper()
	keygen, err := exec.CommandContext(t.Context(), w.bin, "keygen", "--json").Output()
	must(t, err)
	must(t, json.Unmarshal(keygen, &w.identity))
	must(t, w.Airflow.SetVariable(t.Context(), "docker_recipient", w.identity.Recipient))
	// Not by the API in bulk: before 3.3 Airflow's audit log keeps such values in clear.
	_, err = w.Airflow.CLI(t.Context(), "variables", "set", "docker_private_key", w.identity.PrivateKey)
	must(t, err)
	w.secrets.add(w.identity.PrivateKey)
	aws := w.Sandbox.ECR.Credentials()
	w.secrets.add(aws.SecretAccessKey)
	must(t, w.Airflow.SetConnection(t.Context(), peers.Connection{
		ID: "aws_default", Type: "aws", Login: &aws.AccessKeyID, Password: &aws.SecretAccessKey,
	}))
}

// dockerOperator runs the DAG with two connections, and follows the token as deployed does.
func (w *world) dockerOperator(t *testing.T) {
	provider, err := w.Airflow.ProviderVersion(t.Context(), "apache-airflow-providers-docker")
	must(t, err)
	t.Logf("apache-airflow-providers-docker %s", provider)
	must(t, w.Airflow.Deploy(rendered(t)))

	d := w.dockerCopy(t, "two", nil, `"docker_in_two"`, `"docker_in_two, docker_in_two_more"`)
	w.setDocker(t, "docker_in_two_more", peers.SandboxHost)
	r := d.run(t)
	r.wantGreen(t)
	r.wantOrder(t)
	token := d.password(t, d.connection)
	if d.password(t, "docker_in_two_more") != token {
		t.Error("the connections hold different passwords")
	}
	for _, c := range r.textDocument(t, update)["connections"].([]any) {
		if got := c.(map[string]any)["fingerprint"]; got != suite.Fingerprint(token) {
			t.Errorf("document 2 has fingerprint %v, and Airflow stores %s", got, suite.Fingerprint(token))
		}
	}
	r.wantNoPiece(t, token, w.identity.PrivateKey, w.Sandbox.ECR.Credentials().SecretAccessKey,
		w.Airflow.Users["op"].Password)
	r.wantLog(t, test, "tasks read the new token", "Login Succeeded")
	w.wantNoContainer(t, d.connection)
	w.wantEngineClosed(t)
	w.wantSound(t, dockerDAG)
}

// wantEngineClosed fails when somebody else than root may enter the Engine's folder, in which more of a container stays
// than Docker shows.
func (w *world) wantEngineClosed(t *testing.T) {
	t.Helper()
	info, err := os.Stat(filepath.Join(w.Dir, "docker-data"))
	must(t, err)
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		t.Errorf("the Engine's folder has mode %o", mode)
	}
}

// textDocument is document for an operator that pushes text. Docker providers before 4.5.1 may leave lines of the log
// before it.
func (r run) textDocument(t *testing.T, task string) map[string]any {
	t.Helper()
	value, err := r.Airflow.XCom(t.Context(), r.dag, r.id, task)
	must(t, err)
	var text string
	var doc map[string]any
	if err := json.Unmarshal(value, &text); err != nil {
		t.Fatalf("the XCom of %s is no text: %v\n%s", task, err, value)
	}
	lines := strings.Split(text, "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &doc); err != nil {
		t.Fatalf("the XCom of %s is no document: %v\n%s", task, err, text)
	}
	return doc
}

// wantSound fails when Airflow warns of a DAG, or has made another version of it.
func (w *world) wantSound(t *testing.T, dag string) {
	t.Helper()
	warnings, err := w.Airflow.DAGWarnings(t.Context(), dag)
	must(t, err)
	versions, err := w.Airflow.DAGVersions(t.Context(), dag)
	must(t, err)
	if len(warnings) > 0 || versions != 1 {
		t.Errorf("%s has %d versions and the warnings %q", dag, versions, warnings)
	}
}

// wantNoContainer fails when a container is left whose environment names the connection.
func (w *world) wantNoContainer(t *testing.T, connection string) {
	t.Helper()
	engine := w.engine(t)
	all, err := engine.ContainerList(t.Context(), container.ListOptions{All: true})
	must(t, err)
	for _, c := range all {
		found, err := engine.ContainerInspect(t.Context(), c.ID)
		if errdefs.IsNotFound(err) {
			continue // another run's, which has just ended
		}
		must(t, err)
		if strings.Contains(lookup(found.Config.Env, "ECR_REFRESH_CONNECTION_IDS"), connection) {
			t.Errorf("a container is left: %s, %s", c.Names, c.Status)
		}
	}
}

// dockerNoIdentity: two containers share no file, so that there is no identity without the two Variables.
func (w *world) dockerNoIdentity(t *testing.T) {
	d := w.dockerCopy(t, "no_identity", nil, `"docker_recipient"`, `"no_such_variable"`)
	d.run(t).wantFailed(t, extract, "'StatusCode': 2", "store private key", "ecr-refresh keygen")
	d.wantOld(t)

	d = w.dockerCopy(t, "no_key", nil, `"docker_private_key"`, `"no_such_variable"`)
	d.run(t).wantFailed(t, update, "'StatusCode': 2", w.identity.Recipient, "ecr-refresh keygen")
	d.wantOld(t)
}

// dockerCut: Docker providers before 4.5.1 hand on the last part of a long document, and not each time.
func (w *world) dockerCut(t *testing.T) {
	d := w.dockerCopy(t, "cut", nil)
	r := d.run(t)
	r.wantGreen(t)
	whole := asJSON(r.textDocument(t, update))
	must(t, w.Airflow.SetXCom(t.Context(), r.dag, r.id, update, whole[len(whole)/2:]))
	r.again(t, test).wantFailed(t, test, "'StatusCode': 2", "read result of update_docker_connection", "is cut",
		"update apache-airflow-providers-docker to 4.5.1")
}

// dockerTokenRefused is tokenRefused in containers.
func (w *world) dockerTokenRefused(t *testing.T) {
	d := w.dockerCopy(t, "refused", w.Moto.Environ(),
		`"ecr_aws_account"`, `"moto_account"`,
		`"ecr_aws_region_name"`, `"refused_region"`)
	d.run(t).wantFailed(t, extract, "'StatusCode': 1", w.Refusing.Host, "401")
	d.wantOld(t)
}

// imageByHand runs the image without Airflow.
func (w *world) imageByHand(t *testing.T) {
	t.Run("one stream", w.imageOneStream)
	t.Run("process 1", w.imageProcessOne)
}

// imageOneStream: what a container says arrives in the order in which it was said, the result last.
func (w *world) imageOneStream(t *testing.T) {
	aws := w.Sandbox.ECR.Credentials()
	c := w.container(t, "extract-ecr-token", map[string]string{
		"AWS_ACCESS_KEY_ID": aws.AccessKeyID, "AWS_SECRET_ACCESS_KEY": aws.SecretAccessKey,
		"ECR_REFRESH_LOG_OUTPUT": "stdout",
	})
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code is %d", code)
	}
	stdout, stderr := c.logs(t)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var doc map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &doc); err != nil || doc["step"] != extract {
		t.Errorf("the last line is no result of step 1 (%v):\n%s", err, stdout)
	}
	if len(lines) < 2 || stderr != "" {
		t.Errorf("stdout:\n%s\nstderr:\n%s", stdout, stderr)
	}
}

// imageProcessOne: the binary is process 1, for which the kernel has no default signal handlers, and ends on SIGTERM.
func (w *world) imageProcessOne(t *testing.T) {
	silent := newSilence(t)
	c := w.container(t, "extract-ecr-token", map[string]string{
		"AWS_ACCESS_KEY_ID":     "AKIAIOSFODNN7EXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		"AWS_ENDPOINT_URL":      silent.URL,
	})
	silent.wait(t)
	found, err := c.engine.ContainerInspect(t.Context(), c.id)
	must(t, err)
	proc := "/proc/" + strconv.Itoa(found.State.Pid)
	status, err := os.ReadFile(proc + "/status")
	must(t, err)
	if !strings.Contains(string(status), "\t1\n") || !strings.Contains(string(status), "Uid:\t65532\t") {
		t.Errorf("it is not process 1 of user 65532:\n%s", status)
	}
	begin := time.Now()
	must(t, c.engine.ContainerStop(t.Context(), c.id, container.StopOptions{Timeout: new(10)}))
	took := time.Since(begin)
	t.Logf("docker stop takes %s", took.Round(time.Millisecond))
	if code := c.wait(t); code != 143 || took > killLimit {
		t.Errorf("after docker stop it ended with code %d in %s, want 143 within %s", code, took, killLimit)
	}
	if _, err := os.Stat(proc); err == nil {
		t.Errorf("%s is still there", proc)
	}
	if _, stderr := c.logs(t); !strings.Contains(stderr, "ended by terminated") {
		t.Errorf("its last words were %s", stderr)
	}
}

// oneContainer is a container started by hand.
type oneContainer struct {
	engine *client.Client
	id     string
}

// container starts the image on the sandbox with one command and the inputs of step 1.
func (w *world) container(t *testing.T, command string, env map[string]string) oneContainer {
	t.Helper()
	environ := []string{
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT=" + peers.SandboxAccount, "AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.Region,
		"ECR_REFRESH_CA_FILE=" + caInContainer, "AWS_EC2_METADATA_DISABLED=true",
		"ECR_REFRESH_RECIPIENT=" + w.identity.Recipient,
	}
	for _, name := range []string{"HTTPS_PROXY", "NO_PROXY"} {
		environ = append(environ, name+"="+lookup(w.Airflow.Environ(), name))
	}
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	c := oneContainer{engine: w.engine(t)}
	created, err := c.engine.ContainerCreate(t.Context(),
		&container.Config{Image: image, Cmd: []string{command}, Env: environ},
		&container.HostConfig{NetworkMode: "host", Binds: []string{w.CAFile() + ":" + caInContainer + ":ro"}},
		nil, nil, "")
	must(t, err)
	c.id = created.ID
	t.Cleanup(func() {
		must(t, c.engine.ContainerRemove(context.Background(), c.id, container.RemoveOptions{Force: true}))
	})
	must(t, c.engine.ContainerStart(t.Context(), c.id, container.StartOptions{}))
	return c
}

func (c oneContainer) wait(t *testing.T) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended, failed := c.engine.ContainerWait(ctx, c.id, container.WaitConditionNotRunning)
	select {
	case answer := <-ended:
		return answer.StatusCode
	case err := <-failed:
		t.Fatal(err)
		return 0
	}
}

func (c oneContainer) logs(t *testing.T) (stdout, stderr string) {
	t.Helper()
	stream, err := c.engine.ContainerLogs(t.Context(), c.id, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	must(t, err)
	defer stream.Close()
	var out, log bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &log, stream)
	must(t, err)
	return out.String(), log.String()
}
