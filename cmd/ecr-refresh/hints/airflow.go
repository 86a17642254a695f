package hints

import (
	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
)

const (
	apiConn      = "connection " + names.AirflowConnection
	apiFlag      = "--airflow-url (ECR_REFRESH_AIRFLOW_URL)"
	apiAddress   = "schema, host, port and base path of " + apiConn
	apiReachable = "check that Airflow's API server runs and can be reached from here: schema, host and port of " +
		apiConn + ", HTTPS_PROXY, NO_PROXY"
)

// airflowHints are of airflowclient.
func airflowHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		airflowKind(airflowclient.BadBaseURL): {
			task: "set host, port and schema (http or https) of " + apiConn +
				", without a user name or a password: these go to its login and password",
			shell: "set " + apiFlag + ", or host, port and schema of " + apiConn +
				", to http[s]://HOST[:PORT][/BASE/PATH]",
		},
		airflowKind(airflowclient.BadName): {
			task: "use a name without \"/\" and control characters",
		},
		airflowKind(airflowclient.BadPassword): {
			task:  "clear extract_ecr_token with Downstream: it gets a new token and goes on from there",
			shell: "run extract-ecr-token again, or choose another password where you chose it yourself",
		},
		airflowKind(airflowclient.LoginRejected): {task: "check {object}"},
		airflowKind(airflowclient.TokenRejected): {
			task: "put a new token into Variable " + names.TokenVariable + " (this one may have expired, or be of " +
				"another Airflow), or delete the Variable to log in with login and password",
			shell: "put a new token into {object} (this one may have expired, or be of another Airflow), or unset " +
				"it to log in with login and password",
		},
		airflowKind(airflowclient.JWTRejected): {
			task: "give all API servers the same [api_auth] jwt_secret, and check the clocks of their machines",
		},
		airflowKind(airflowclient.NoLoginEndpoint): {
			task: "check " + apiAddress + "; the auth manager must offer POST /auth/token (Amazon's does not)",
		},
		airflowKind(airflowclient.NotAirflow): {
			task: "check " + apiAddress + ": below it, /api/v2/version must answer JSON (Airflow 3)",
		},
		airflowKind(airflowclient.Redirect): {
			task:  "give the final address as host of " + apiConn,
			shell: "give the final address as host of " + apiConn + ", or in " + apiFlag,
		},
		airflowKind(airflowclient.Forbidden): {
			task: "the account needs {want} on {object}: airflow roles add-perms ROLE -r '{object}' -a {want} " +
				"(FAB; can_read and can_edit on Connections are enough to refresh them), or the role Op " +
				"(SimpleAuthManager; Viewer may read pools, DAGs and runs)",
		},
		airflowKind(airflowclient.Invalid): {
			task: "use a version of ecr-refresh that supports this Airflow: docs/compatibility.md lists them",
		},
		airflowKind(airflowclient.ProxyAuth): {
			task: "check user name and password of the proxy in HTTPS_PROXY and HTTP_PROXY",
		},
		airflowKind(airflowclient.WrongScheme): {
			task:  "set the schema of " + apiConn + " to what its port speaks: http or https",
			shell: "set the schema of " + apiConn + ", or of " + apiFlag + ", to what its port speaks: http or https",
		},
		airflowKind(airflowclient.TLSAlert): {
			task: "let Airflow's API server, or the proxy before it, speak TLS 1.2 or newer and ask for no client " +
				"certificate",
		},
		airflowKind(airflowclient.Untrusted): {
			task: "set ECR_REFRESH_CA_FILE in the worker's environment to the certificate of its authority, use a " +
				"host name that its certificate holds, or replace the certificate",
			shell: "give the certificate of its authority with --ca-file (ECR_REFRESH_CA_FILE), use a host name " +
				"that its certificate holds, or replace the certificate",
		},
		airflowKind(airflowclient.NoConnection): {
			task: "create it: airflow connections add {object} --conn-type docker --conn-host REGISTRY " +
				"--conn-login AWS (one from an environment variable or a secrets backend cannot be updated)",
		},
		airflowKind(airflowclient.NoPool):     {task: "create it: airflow pools set {object} SLOTS DESCRIPTION"},
		airflowKind(airflowclient.NoVariable): {task: "create it: airflow variables set {object} VALUE"},
		airflowKind(airflowclient.NoDAG):      {task: "deploy it: ecr-refresh dag install"},
		airflowKind(airflowclient.NoXCom):     {task: "check the log of that task: it has left no result"},
		airflowKind(airflowclient.Conflict): {
			task: "try again: it exists already, or somebody else changes it at the same time",
		},
		airflowKind(airflowclient.Unavailable): {task: "look into the log of Airflow's API server, then try again"},
		airflowKind(airflowclient.Timeout):     {task: apiReachable},
		airflowKind(airflowclient.Unreachable): {task: apiReachable},
	}
}
