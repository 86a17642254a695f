package main

import (
	"errors"
	"maps"
	"strconv"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/command"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/dag"
	"ecr-refresh/cmd/ecr-refresh/doctor"
	"ecr-refresh/cmd/ecr-refresh/environment"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/manual"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/setup"
	"ecr-refresh/cmd/ecr-refresh/status"
	"ecr-refresh/steps"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/xcom"
)

// hint is what to do next about one kind of failure, where the reader stands: in an Airflow task's log it names the
// Variable, connection, pool, queue or worker's environment; in a shell the flag and the environment name. {object},
// {service}, {want} and {status} stand for the failure's facts.
type hint struct {
	task  string
	shell string // "": as in a task
}

// hintOf returns the hint for err, or "".
func hintOf(err error) string {
	kind, facts := kindOf(err)
	if kind == "" {
		return ""
	}
	h, known := hints()[kind]
	if !known {
		return string(kind) // being replaced: a kind that is a hint
	}
	text := h.task
	if !input.InTask() && h.shell != "" {
		text = h.shell
	}
	environmentOfTask := "the worker's environment"
	if environment.Value(names.OperatorEnv) == "docker" { // a container has none of it
		environmentOfTask = "ENVIRONMENT of the DAG's file"
	}
	return strings.NewReplacer(
		"{object}", facts.Object, "{service}", facts.Service, "{want}", facts.Want,
		"{status}", strconv.Itoa(facts.Status), "the worker's environment", environmentOfTask,
	).Replace(text)
}

// hints returns the whole table. It is called where an error is reported, so that a good run does not pay for it.
func hints() map[failure.Kind]hint {
	all := map[failure.Kind]hint{}
	for _, part := range []map[failure.Kind]hint{
		inputHints(), commandHints(), targetHints(), ecrHints(), registryHints(), airflowHints(), dockerHints(),
		dockerLoginHints(), stepHints(), secretHints(), fileHints(), networkHints(),
	} {
		maps.Copy(all, part)
	}
	return all
}

// asAirflow says how to write a connection.
const asAirflow = `as Airflow's manual describes in "Storing connections in environment variables"`

// inputHints are of flags, the environment, the command line and dag.
func inputHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		command.Misspelt:     {task: "did you mean {want}?"},
		command.Usage:        {task: "see {object} --help"},
		command.StdoutFailed: {task: "check where stdout leads: its disk is full, or its reader has ended"},
		manual.BadShell:      {task: "give " + manual.Shells},
		dag.BadOption:        {task: "see ecr-refresh dag --help"},
		dag.FlagBefore:       {task: "write: ecr-refresh dag install --{object} …"},
		dag.BadSetting:       {task: "give it anew, or --force"},
		dag.Edited:           {task: "move it away, or give --force to lose what is in it"},
		dag.Unreadable:       {task: "check the permissions of the file and its folder"},
		input.Missing:        {task: "give {object}"},
		input.Conflict:       {task: "{want}"},
		input.BadVariable:    {task: "airflow variables set {object} {want}"},
		input.OldDAG:         {task: "deploy the DAG of this version: ecr-refresh dag install"},
		connection.Malformed: {
			task:  "remove {object} from the worker's environment, or write it " + asAirflow,
			shell: "write {object} " + asAirflow,
		},
		connection.BadSchema: {task: "set the schema of " + apiConn + " to http or https; a base path belongs into " +
			"its host, as https://host/path"},
		input.NoAirflow: {
			task: "create it: ecr-refresh setup, or Admin > Connections (type HTTP; host, port, login and password " +
				"of a user who may edit connections)",
			shell: "give --airflow-url and set " + names.AirflowPrefix + "{LOGIN,PASSWORD}, or set " +
				names.AirflowPrefix + "{HOST,PORT,LOGIN,PASSWORD} or AIRFLOW_CONN_AIRFLOW_API (a URI or JSON)",
		},
		input.NoField: {task: "set the {want} of connection {object}: Admin > Connections", shell: "give {service}"},
		input.NoDocker: {
			task: "create it: Admin > Connections (type Docker, its host the registry's name)",
			shell: "set " + names.DockerPrefix + "{HOST,PORT,LOGIN,PASSWORD}, " + names.LoginsEnv +
				" or {want} (a URI or JSON)",
		},
		input.NoPrivateKey: {
			task: "run 'ecr-refresh keygen' once and set the two Airflow Variables that it prints: this worker " +
				"is not the one that ran step 1",
			shell: "give --identity-file (" + names.IdentityFileEnv + ") or set " + names.PrivateKeyEnv +
				"; step 1 was run by another host or user, whose key is not in {object}",
		},
		input.NoHome: {
			task: "run 'ecr-refresh keygen' and set the two Airflow Variables that it prints",
			shell: "set HOME, or " + names.RecipientEnv + " for step 1 and " + names.PrivateKeyEnv +
				" for step 2 (ecr-refresh keygen)",
		},
		input.NotATarget: {
			task:  "trigger the DAG with connection_ids of " + names.TargetsVariable + ", or add this one to it",
			shell: "name connections of the list, or add this one to it",
		},
		input.CAFile: {
			task:  "set " + names.CAFileEnv + " in the worker's environment to a PEM file that its user may read",
			shell: "give a PEM file that this user may read",
		},
		input.PlainAirflow: {task: "set the schema of " + apiConn + " to https"},
		input.PlainDocker:  {task: "let Docker use TLS, and set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"},
		input.PlainECR:     {task: "set {object} to a URL with https"},
	}
}

const targetFields = "each entry has connection_id, and registry or account and region (ecr_targets.schema.json)"

// commandHints are of doctor, setup and status.
func commandHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		doctor.Failed:   {task: "each has a hint above"},
		setup.Differs:   {task: "look at what differs, then let ecr-refresh setup --force change it"},
		status.NoDAG:    {task: "deploy it (ecr-refresh dag install), or name another (--dag-id)"},
		status.NoToken:  {task: "trigger the DAG, and look at its last run"},
		status.TooShort: {task: "look at the last runs of the DAG: ecr-refresh doctor"},
	}
}

// targetHints are of steps/target.
func targetHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		target.BadList: {
			task:  "correct Variable " + names.TargetsVariable + ": " + targetFields,
			shell: "correct the targets: " + targetFields,
		},
		target.AccountMissing: {
			task: "airflow variables set " + names.AccountVariable + " ACCOUNT, or set the host of connection " +
				"{object} to its registry",
			shell: "give --account (" + names.AccountEnv + "), or set the host of connection {object} to its registry",
		},
		target.RegionMissing: {
			task: "airflow variables set " + names.RegionVariable + " REGION, or set the host of connection " +
				"{object} to its registry",
			shell: "give --region (" + names.RegionEnv + "), or set the host of connection {object} to its registry",
		},
		target.RegistryMissing: {
			task: "set the host of connection {object} to its registry, or Variables " +
				names.AccountVariable + " and " + names.RegionVariable,
			shell: "give --account and --region (" + names.AccountEnv + ", " + names.RegionEnv + "), or set the host " +
				"of " +
				"connection {object} to its registry",
		},
	}
}

// ecrHints are of steps/ecr.
func ecrHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		ecr.AccessDenied: {task: "allow {want} on resource * to this AWS identity"},
		ecr.RoleDenied: {task: "allow {want} on the role to this AWS identity, and name this identity in the role's " +
			"trust policy; " +
			"check external_id"},
		ecr.WebIdentityDenied: {task: "let the role's trust policy accept the token's issuer, audience and subject " +
			"(AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE)"},
		ecr.SSOLogin: {
			task: "use an AWS profile without IAM Identity Center on the workers, or log in there (aws sso login) " +
				"and check " +
				"sso_account_id and sso_role_name of the profile",
			shell: "log in (aws sso login), and check sso_account_id and sso_role_name of the profile",
		},
		ecr.BadKeys: {
			task: "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the worker's environment, the region, and " +
				"the worker's clock",
			shell: "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, the region, and this machine's clock",
		},
		ecr.SessionExpired: {
			task: "give the worker a role, or put a new AWS_SESSION_TOKEN with its keys into the worker's " +
				"environment; " +
				"check the worker's clock",
			shell: "get a new AWS session (aws sso login, a role, or AWS_SESSION_TOKEN with its keys), and check " +
				"this machine's clock",
		},
		ecr.ClockSkew: {
			task:  "set the worker's clock (NTP): AWS accepts signatures of the last 15 minutes",
			shell: "set this machine's clock (NTP): AWS accepts signatures of the last 15 minutes",
		},
		ecr.WrongAccountOrRegion: {
			task: "check Variables " + names.AccountVariable + " and " + names.RegionVariable +
				" (or " + names.TargetsVariable + "), and that the region is enabled in the account",
			shell: "check --account and --region (or --targets), and that the region is enabled in the account",
		},
		ecr.Throttled: {
			task:  "spread the runs of DAGs that call ECR in this account and region: its limit is 20 calls a second",
			shell: "run it again in a minute; ECR's limit is 20 calls a second in an account and region",
		},
		ecr.Unavailable: {
			task:  "see https://health.aws.amazon.com/health/status if the retries fail, too",
			shell: "run it again in a minute; if it fails again, see https://health.aws.amazon.com/health/status",
		},
		ecr.Redirect: {
			task: "correct AWS_ENDPOINT_URL or HTTPS_PROXY in the worker's environment: AWS sends no redirect, and " +
				"none is followed",
			shell: "correct AWS_ENDPOINT_URL or HTTPS_PROXY: AWS sends no redirect, and none is followed",
		},
		ecr.NotAWS: {
			task: "check AWS_ENDPOINT_URL and HTTPS_PROXY in the worker's environment: something answers in the " +
				"place of AWS",
			shell: "check AWS_ENDPOINT_URL and HTTPS_PROXY: something answers in the place of AWS",
		},
		ecr.BadConfig: {
			task:  "check AWS_PROFILE, AWS_CONFIG_FILE and AWS_CA_BUNDLE in the worker's environment",
			shell: "check AWS_PROFILE, AWS_CONFIG_FILE and AWS_CA_BUNDLE",
		},
		ecr.NoCredentials: {
			task:  "attach a role to the worker, or set AWS_PROFILE or AWS_ACCESS_KEY_ID in the worker's environment",
			shell: "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or attach a role to this machine",
		},
		ecr.ProcessFailed: {
			task:  "run credential_process of the AWS profile by hand on the worker, as the worker's user",
			shell: "run credential_process of the AWS profile (AWS_PROFILE) by hand",
		},
		ecr.ContainerEndpoint: {task: "check the pod's Pod Identity association (EKS) or the task's role (ECS), and " +
			"the role's trust policy"},
		ecr.NoInstanceRole: {
			task: "attach a role to the worker's instance, or set AWS_PROFILE or AWS_ACCESS_KEY_ID in the worker's " +
				"environment",
			shell: "attach a role to the instance, or set AWS_PROFILE or AWS_ACCESS_KEY_ID",
		},
		ecr.HopLimit: {task: "in a container, set the instance's hop limit to 2 (aws ec2 " +
			"modify-instance-metadata-options " +
			"--http-put-response-hop-limit 2); elsewhere, set AWS_PROFILE or AWS_ACCESS_KEY_ID"},
		ecr.NotECRHost: {task: "give ACCOUNT.dkr.ecr.REGION.amazonaws.com, its FIPS, dual-stack or other " +
			"partition's form, " +
			"or public.ecr.aws; for a new partition, add partition_suffix to an entry of " + names.TargetsVariable},
	}
}

// registryHints are of steps/registry.
func registryHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		registry.WrongRegion: {
			task: "check that {object} is in the region of the token: Variable " + names.RegionVariable + " or " +
				names.TargetsVariable + "; ECR answers 400 to a token of another region, or to one that was altered",
			shell: "check that {object} is in the region of the token (--region or --targets): ECR answers 400 to a " +
				"token of another " +
				"region, or to one that was altered",
		},
		registry.Rejected: {
			task: "clear extract_ecr_token with Downstream for a new token; if {object} rejects that, too, allow " +
				"its identity to use " +
				"this registry (repository policy, VPC endpoint policy)",
			shell: "get a new token (extract-ecr-token); if {object} rejects that, too, allow its identity to use " +
				"this registry " +
				"(repository policy, VPC endpoint policy)",
		},
		registry.Redirect: {
			task:  "set the host of the connection to the registry itself: no redirect is followed",
			shell: "give the registry itself: no redirect is followed",
		},
		registry.Unavailable: {
			task:  "see https://health.aws.amazon.com/health/status if the retries fail, too",
			shell: "run it again in a minute; if it fails again, see https://health.aws.amazon.com/health/status",
		},
		registry.NotRegistry: {task: "check that {object} is a Docker registry, and HTTPS_PROXY and NO_PROXY"},
	}
}

// kindOf returns the kind and facts of an error, be it of the steps or of Airflow's client.
func kindOf(err error) (failure.Kind, failure.Facts) {
	kind, facts := failure.Describe(err)
	var e *airflowclient.Error
	if kind != "" || !errors.As(err, &e) {
		return kind, facts
	}
	facts = failure.Facts{Object: e.Object, Service: "Airflow", Want: e.Right, Status: e.Status}
	return airflowKind(e.Kind), facts
}

func airflowKind(kind airflowclient.Kind) failure.Kind { return failure.Kind("airflow " + kind) }

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
			shell: "put a new token into {object} (this one may have expired, or be of another Airflow), or unset it " +
				"to log in with login and password",
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
			task: "the account needs {want} on {object}: airflow roles add-perms ROLE -r '{object}' -a {want} (FAB; " +
				"can_read and can_edit on Connections are enough to refresh them), or the role Op " +
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
			task: "let Airflow's API server, or the proxy before it, speak TLS 1.2 or newer " +
				"and ask for no client certificate",
		},
		airflowKind(airflowclient.Untrusted): {
			task: "set ECR_REFRESH_CA_FILE in the worker's environment to the certificate of its authority, " +
				"use a host name that its certificate holds, or replace the certificate",
			shell: "give the certificate of its authority with --ca-file (ECR_REFRESH_CA_FILE), " +
				"use a host name that its certificate holds, or replace the certificate",
		},
		airflowKind(airflowclient.NoConnection): {
			task: "create it: airflow connections add {object} --conn-type docker --conn-host REGISTRY " +
				"--conn-login AWS (one from an environment variable or a secrets backend cannot be updated)",
		},
		airflowKind(airflowclient.Conflict): {
			task: "try again: it exists already, or somebody else changes it at the same time",
		},
		airflowKind(airflowclient.Unavailable): {task: "look into the log of Airflow's API server, then try again"},
		airflowKind(airflowclient.Timeout):     {task: apiReachable},
		airflowKind(airflowclient.Unreachable): {task: apiReachable},
	}
}

// dockerHints are of steps/docker.
func dockerHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		docker.BadHost: {
			task:  "set DOCKER_HOST in the worker's environment to unix:///path/docker.sock or tcp://host:port",
			shell: "set DOCKER_HOST (--engine) to unix:///path/docker.sock or tcp://host:port, or --engine none",
		},
		docker.LoginInHost: {
			task:  "remove the login from DOCKER_HOST in the worker's environment: Docker requires a certificate instead",
			shell: "remove the login from DOCKER_HOST (--engine): Docker requires a certificate instead",
		},
		docker.BadCertificates: {
			task:  "put ca.pem, cert.pem and key.pem into {object}, or set DOCKER_CERT_PATH in the worker's environment to their folder",
			shell: "put ca.pem, cert.pem and key.pem into {object}, or set DOCKER_CERT_PATH to their folder",
		},
		docker.NoDaemon: {
			task: "start Docker on this worker, or set DOCKER_HOST in the worker's environment; " +
				"on workers without Docker set ECR_REFRESH_ENGINE=none there",
			shell: "start Docker, or set DOCKER_HOST (--engine); without Docker give --engine none",
		},
		docker.NotDocker: {
			task: "check that DOCKER_HOST and DOCKER_TLS_VERIFY in the worker's environment lead to Docker; " +
				"a proxy before it must pass GET /version and POST /auth",
			shell: "check that DOCKER_HOST (--engine) and DOCKER_TLS_VERIFY lead to Docker; " +
				"a proxy before it must pass GET /version and POST /auth",
		},
		docker.SocketPermission: {task: "add this user to the group of the socket (docker), or mount the socket into the container"},
		docker.Untrusted: {
			task: "put the certificate of Docker's CA into ca.pem in DOCKER_CERT_PATH of the worker's environment, " +
				"use a host name that Docker's certificate holds, or renew that certificate",
			shell: "put the certificate of Docker's CA into ca.pem in DOCKER_CERT_PATH, use a host name that Docker's certificate holds, " +
				"or renew that certificate",
		},
		docker.TLSAlert: {
			task: "put cert.pem and key.pem that Docker's CA has signed into DOCKER_CERT_PATH of the worker's environment; " +
				"Docker must speak TLS 1.2 or newer",
			shell: "put cert.pem and key.pem that Docker's CA has signed into DOCKER_CERT_PATH; Docker must speak TLS 1.2 or newer",
		},
		docker.Busy: {task: "wait, and clear this task", shell: "wait, and run it again"},
	}
}

// dockerLoginHints are of steps/docker, too: what Docker answers, and its config.json.
func dockerLoginHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		docker.Failed:              {task: "see the log of Docker on this worker", shell: "see the log of Docker"},
		docker.NoAnswer:            {task: "see the log of Docker on this worker", shell: "see the log of Docker"},
		docker.NoLoginAnswer:       {task: "see the log of Docker, and check how it reaches the registry (its own proxy settings)"},
		docker.BadCredential:       {task: "clear extract_ecr_token with Downstream: it gets a new token", shell: "run all three steps again"},
		docker.UntrustedRegistry:   {task: "put the certificate of the registry's CA where Docker reads it: /etc/docker/certs.d/HOST/ca.crt"},
		docker.RegistryUnavailable: {task: "wait, and clear this task", shell: "wait, and run it again"},
		docker.BadEntry:            {task: "remove this entry from {object} on the worker"},
		docker.EntryWins:           {task: "remove this entry from {object} on the worker, or run there: docker logout {want}"},
		docker.HelperMissing:       {task: "install {object} on the worker, or remove this entry from its Docker configuration"},
		docker.HelperFails: {
			task: "remove this entry from the worker's Docker configuration, or find out there why it fails: echo {want} | {object} get",
		},
	}
}

// stepHints are of the three steps and of the results that they hand on.
func stepHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		xcom.NoResult:     {task: "clear {object} with Downstream", shell: "run that step first, and pass its result with --in"},
		xcom.OtherVersion: {task: "install the same version of ecr-refresh on all workers, and clear {object} with Downstream"},
		xcom.BadResult:    {task: "clear {object} with Downstream: it makes a new result", shell: "run that step again"},
		xcom.NotAResult: {
			task: "clear {object} with Downstream; with DockerOperator, update apache-airflow-providers-docker to 4.5.1 or newer: " +
				"older ones cut a long result",
			shell: "pass the last line that this step printed, unchanged",
		},
		steps.OldResult: {
			task:  "clear extract_ecr_token with Downstream: it gets a new token",
			shell: "run extract-ecr-token again, or raise --max-age (ECR_REFRESH_MAX_AGE)",
		},
		steps.AlteredResult: {task: "clear extract_ecr_token with Downstream: it makes a new result", shell: "run extract-ecr-token again"},
		steps.HostMismatch: {
			task: "set the host of connection {object} to {want}, or name another connection in Variable " + names.TargetsVariable,
			shell: "set the host of connection {object} to {want}, " +
				"or name another connection with --connection-ids (ECR_REFRESH_CONNECTION_IDS)",
		},
		steps.EarlierFailure: {task: "see the log of {object}"},
		steps.NotGiven: {
			task:  "install the DAG file of this version: it passes each connection on",
			shell: "set AIRFLOW_CONN_… of connection {object}, or ECR_REFRESH_DOCKER_SECRETS",
		},
		steps.NoLogin: {task: "run the DAG without dry_run, and check what overrides the connection on the workers"},
		steps.Overridden: {
			task: "check AIRFLOW_CONN_… in the workers' environment, and the secrets backend, for connection {object}: " +
				"tasks read both before Airflow's database, and a refresh updates only the database",
		},
		steps.OverriddenByVariable: {
			task: "unset {want} on the workers: tasks read it before Airflow's database, and a refresh updates only the database",
		},
		steps.ManyFailed: {task: "see the error lines above"},
	}
}

// secretHints are of steps/secret: keys and encryption.
func secretHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		secret.NotAPublicKey: {
			task: "run 'ecr-refresh keygen' and set Variables " + names.RecipientVariable + " and " + names.PrivateKeyVariable +
				" as it prints",
			shell: "run 'ecr-refresh keygen' and set ECR_REFRESH_RECIPIENT (--recipient) to its public key (age1…)",
		},
		secret.NotAPrivateKey: {
			task: "run 'ecr-refresh keygen' and set Variables " + names.RecipientVariable + " and " + names.PrivateKeyVariable +
				" as it prints",
			shell: "run 'ecr-refresh keygen' and set ECR_REFRESH_PRIVATE_KEY to its private key, " +
				"or name a file that holds it with --identity-file (ECR_REFRESH_IDENTITY_FILE)",
		},
		secret.OtherKeyPair: {
			task: "use one key pair for all workers: run 'ecr-refresh keygen' once and set Variables " + names.RecipientVariable +
				" and " + names.PrivateKeyVariable + " as it prints",
			shell: "use one key pair for steps 1 and 2: run 'ecr-refresh keygen' once, and set ECR_REFRESH_RECIPIENT for step 1 " +
				"and ECR_REFRESH_PRIVATE_KEY for step 2",
		},
		secret.Damaged: {task: "clear extract_ecr_token with Downstream: it encrypts a new token", shell: "run extract-ecr-token again"},
		secret.CannotStoreKey: {
			task: "let this worker's user create {object}, or run 'ecr-refresh keygen' and set Variables " + names.RecipientVariable +
				" and " + names.PrivateKeyVariable + " as it prints",
			shell: "make {object} writable, or run 'ecr-refresh keygen' and set ECR_REFRESH_RECIPIENT and ECR_REFRESH_PRIVATE_KEY",
		},
	}
}

// fileHints are of steps/privatefile.
func fileHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		privatefile.SymbolicLink:   {task: "name the file itself, not a link to it"},
		privatefile.NotRegular:     {task: "name a regular file", shell: "name a regular file; --in - reads a result from stdin"},
		privatefile.OtherOwner:     {task: "run: chown {want} {object}"},
		privatefile.OpenToOthers:   {task: "run: chmod 600 {object}; a Kubernetes Secret needs defaultMode 0400, or 0440 with fsGroup"},
		privatefile.TooLong:        {task: "name the file that ecr-refresh wrote: it is far smaller"},
		privatefile.NotReplaceable: {task: "name a regular file"},
		privatefile.DiskFull:       {task: "make room on its disk, or name a file on another disk"},
		privatefile.NotWritable:    {task: "name a file in a folder that user {want} may write to"},
		privatefile.NoFolder:       {task: "make its folder, or name a file in another folder"},
	}
}

// networkHints are of steps/failure: calls without an answer.
func networkHints() map[failure.Kind]hint {
	return map[failure.Kind]hint{
		failure.Untrusted: {
			task: "if a proxy or a private CA stands between, set ECR_REFRESH_CA_FILE in the worker's environment to its certificate; " +
				"else check the clock and the name of {object}",
			shell: "if a proxy or a private CA stands between, name its certificate with --ca-file (ECR_REFRESH_CA_FILE); " +
				"else check the clock and the name of {object}",
		},
		failure.TLSAlert: {task: "let {object}, or the proxy before it, speak TLS 1.2 or newer and require no client certificate"},
		failure.Timeout: {
			task:  "check the network between this worker and {object}, and HTTPS_PROXY and NO_PROXY in the worker's environment",
			shell: "check the network between this machine and {object}, HTTPS_PROXY and NO_PROXY",
		},
		failure.Unreachable: {
			task:  "check the name and port of {object}, and HTTPS_PROXY and NO_PROXY in the worker's environment",
			shell: "check the name and port of {object}, HTTPS_PROXY and NO_PROXY",
		},
	}
}
