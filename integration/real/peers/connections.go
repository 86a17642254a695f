package peers

import (
	"context"
	"os"
)

// airflowConnections reads each text as a task does, and prints its fields. reauth is "off" where DockerHook does not
// log in again, and "raises" where it fails.
const airflowConnections = `
import json, logging, os, sys, tempfile
os.environ.update(AIRFLOW_HOME=tempfile.mkdtemp(), AIRFLOW__LOGGING__LOGGING_LEVEL="CRITICAL")
from airflow.providers.docker.hooks.docker import DockerHook
from airflow.sdk.definitions.connection import Connection
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

logging.disable()
backend = EnvironmentVariablesBackend()
backend._connection_class = Connection

class Client:
    def login(self, reauth, **others):
        self.reauth = reauth

def reauth(conn):
    client = Client()
    try:
        DockerHook(docker_conn_id="x", base_url="unix:///x")._DockerHook__login(client, conn)
    except Exception:
        return "raises" if conn.host and conn.login else None
    return None if client.reauth else "off"

def read(text):
    os.environ["AIRFLOW_CONN_X"] = text
    try:
        conn = backend.get_connection("x")
    except Exception as error:
        return {"error": type(error).__name__}
    names = ("conn_type", "schema", "host", "port", "login", "password")
    fields = {name: getattr(conn, name) for name in names}
    return {name: str(value) for name, value in {**fields, "reauth": reauth(conn)}.items() if value not in (None, "")}

out = [read(text) for text in json.load(sys.stdin)]
os.write(1, json.dumps(out).encode())
os._exit(0)
`

// AirflowConnections returns what a release reads of each text, a value of AIRFLOW_CONN_….
func AirflowConnections(ctx context.Context, release string, texts []string) (rows []map[string]string, err error) {
	err = askPython(ctx, release, airflowConnections, os.Getenv("PATH"), texts, &rows)
	return rows, err
}
