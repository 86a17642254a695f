package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
)

// DockerPyCase is a configuration that docker-py finds, and what a Docker task does with it.
type DockerPyCase struct {
	Folder           string // DOCKER_CONFIG; ""
	Home             string
	Server, Registry string
	Reauth           bool
}

// dockerPy logs in, with the Engine stubbed, and prints the password that a pull sends: the connection's is "fresh".
const dockerPy = `
import base64, json, os, sys, warnings
from docker import APIClient, auth
warnings.simplefilter("ignore")

class Accepted:
    status_code = 200

def outcome(case):
    os.environ.update(HOME=case["Home"], DOCKER_CONFIG=case["Folder"])
    try:
        client = APIClient(base_url="http://127.0.0.1:1", version="1.41")
        client._post_json = lambda url, data: Accepted()
        client._result = lambda response, json: {}
        client.login("AWS", "fresh", registry=case["Server"], reauth=case["Reauth"])
        header = auth.get_config_header(client, case["Registry"])
    except Exception:
        return "raises"
    sent = json.loads(base64.urlsafe_b64decode(header)) if header else {}
    return "token" if "IdentityToken" in sent else sent.get("password") or sent.get("Password") or "none"

json.dump([outcome(case) for case in json.load(sys.stdin)], sys.stdout)
`

// DockerPy returns what a release's docker-py pulls with in each case: the password, "token", "none", or "raises". The
// credential helpers are those on path.
func DockerPy(ctx context.Context, release, path string, cases []DockerPyCase) (outcomes []string, err error) {
	err = askPython(ctx, release, dockerPy, path, cases, &outcomes)
	return outcomes, err
}

const dockerHosts = `
import json, sys
from docker.utils import parse_host

def accepted(host):
    try:
        return parse_host(host).startswith("http")
    except Exception:
        return False

json.dump([accepted(host) for host in json.load(sys.stdin)], sys.stdout)
`

// DockerPyAccepts reports which of hosts, each as in DOCKER_HOST, a release's docker-py calls over http or a socket.
func DockerPyAccepts(ctx context.Context, release string, hosts []string) (accepted []bool, err error) {
	err = askPython(ctx, release, dockerHosts, os.Getenv("PATH"), hosts, &accepted)
	return accepted, err
}

// askPython runs a script of an installed release, with in as JSON on its stdin, and decodes its stdout into out.
func askPython(ctx context.Context, release, script, path string, in, out any) error {
	venv, err := installed(release)
	if err != nil {
		return err
	}
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(venv, "bin", "python"), "-c", script)
	cmd.Env, cmd.Stdin = append(cleanEnv(), "PATH="+path), bytes.NewReader(text)
	answer, err := cmd.Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}
