// Package hints is the one table of what to do next about each kind of failure, in two dialects: in an Airflow task's
// log a hint names the Variable, connection, pool, queue or worker's environment; in a shell the flag and the
// environment name.
package hints

import (
	"regexp"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/input"
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

// Of returns the hint for err, or "".
func Of(err error) string {
	kind, facts := failure.Describe(err)
	text := translate(hints()[kind], input.Operator())
	text = strings.NewReplacer("{object}", facts.Object, "{want}", facts.Want).Replace(text)
	return strings.ReplaceAll(text, names.AirflowConnection, input.APIConnection())
}

// translate returns text in the dialect of operator's tasks; "" is a shell.
func translate(text, operator string) string {
	dialect, host, environment := "$1", "the worker", " in the worker's environment"
	switch operator {
	case "":
		dialect, host, environment = "$2", "this machine", ""
	case "docker": // a container has nothing of the worker's environment
		environment = " in ENVIRONMENT of the DAG's file"
	}
	text = regexp.MustCompile(`<([^|]*)\|([^>]*)>`).ReplaceAllString(text, dialect)
	return strings.NewReplacer("{host}", host, "{env}", environment).Replace(text)
}

// Parts of hints. In all of them, <a|b> is a in a task and b in a shell. {env} is " in the worker's environment" in a
// task, " in ENVIRONMENT of the DAG's file" with DockerOperator, and "" in a shell; {host} is the worker, or this
// machine. {object} and {want} are the failure's facts.
const (
	again    = "<clear this task|run it again>"
	newToken = "<clear extract_ecr_token with Downstream|run extract-ecr-token again>"
	newPair  = "run 'ecr-refresh keygen' and set <Variables ecr_refresh_recipient and ecr_refresh_private_key as it " +
		"prints|ECR_REFRESH_RECIPIENT for step 1 and ECR_REFRESH_PRIVATE_KEY (or --identity-file) for step 2>"
	awsDown    = "<wait for the retries|run it again in a minute>, then see https://health.aws.amazon.com/health/status"
	registryIn = "<Variables ecr_aws_account and ecr_aws_region_name (or ecr_targets)|--account and --region (or " +
		"--targets)>"
	reachable = "check that {object} is up, and that {host} reaches it: DNS, network, HTTPS_PROXY and NO_PROXY{env}"
	orURL     = "<| or --airflow-url (ECR_REFRESH_AIRFLOW_URL)>"

	apiAddress = "check schema, host, port and base path of connection airflow-api"
	needs      = "the account< of connection airflow-api|> needs {want} on {object}: "
	areEnough  = " (can_read and can_edit on Connections are enough to refresh them)"
)

// hints returns the table, in the order of a run. It is called where an error is reported, so that a good run does not
// pay for it.
func hints() map[failure.Kind]string {
	return map[failure.Kind]string{
		// The command line, dag
		console.Usage:        "<deploy the DAG of this version: ecr-refresh dag install|{want}>",
		console.StdoutFailed: "check where stdout leads: its disk is full, or its reader has ended",

		// Flags, the environment
		input.Missing:  "<airflow variables set|give> {object}",
		input.BadValue: "correct {object}{env}",
		input.BadIDs: "<trigger the DAG with other connection_ids, or correct CONNECTION_IDS in its file|correct " +
			"--connection-ids (ECR_REFRESH_CONNECTION_IDS)>: ids joined by commas, of the targets list if there is one",
		input.BadField: "set the {want} of connection {object}<: Admin > Connections|>",
		input.NoFile:   "name a file of at most 8 MiB with an end, which <the worker's|this> user may read",
		input.Conflict: "give one of them",
		input.OldDAG:   "deploy the DAG of this version: ecr-refresh dag install",
		input.NoAirflow: "<create it: ecr-refresh setup, or Admin > Connections (type HTTP, a user who edits " +
			"connections)|set ECR_REFRESH_AIRFLOW_{HOST,PORT,LOGIN,PASSWORD} or AIRFLOW_CONN_AIRFLOW_API>",
		input.NoDocker: "<create it: Admin > Connections (type Docker, its host the registry's name)|set " +
			"ECR_REFRESH_DOCKER_{HOST,PORT,LOGIN,PASSWORD}, ECR_REFRESH_DOCKER_SECRETS or {object} (a URI or JSON)>",
		input.NoPrivateKey: newPair + "; without them each host and user makes and finds its own, below its home",
		input.NotApproved:  "set GODEBUG=fips140=on{env}, or unset it",
		input.Unencrypted:  "use {want}",
		input.BadProxy:     "write {object}{env} as http://NAME:PASSWORD@HOST:PORT, with / @ # ? % encoded (%2F for /)",
		input.Malformed:    "<unset {object}{env}, or write it|write {object}> as a URI or JSON (Airflow's manual)",
		target.BadList:     "correct <Variable ecr_targets|the targets>: ids, with registry or account and region",

		// Keys and encryption
		secret.NotAKey:        newPair,
		secret.OtherKeyPair:   "use one key pair for <all workers|steps 1 and 2>: " + newPair,
		secret.Damaged:        newToken + ": it encrypts a new token",
		secret.CannotStoreKey: "<let this worker's user create {object}|make {object} writable>, or " + newPair,

		// Files
		privatefile.NotRegular:   "name the file itself: no link, folder or pipe<|; --in - reads a result from stdin>",
		privatefile.OtherOwner:   "run: chown {want} {object}",
		privatefile.OpenToOthers: "run: chmod go-rwx {object} (in a Secret: defaultMode 0400, or 0440 with fsGroup)",
		privatefile.NotReadable:  "check this path, and that user {want} may read it",
		privatefile.NotWritable:  "name a file in a folder that exists, with room, and that user {want} may write to",

		// Calls without an answer
		failure.Untrusted: "give <ECR_REFRESH_CA_FILE{env}|--ca-file (ECR_REFRESH_CA_FILE)> the certificate of the " +
			"proxy or private CA in between, or check the clock, and the name in the server's certificate",
		failure.TLSAlert:    "let {object}, or the proxy before it, speak TLS 1.2 or newer, and want no certificate",
		failure.Unreachable: reachable,
		failure.Proxy:       "let the proxy {object} connect to {want}, or name that in NO_PROXY{env}",
		failure.ProxyAuth:   "check user name and password of the proxy in HTTPS_PROXY and HTTP_PROXY{env}",

		// AWS
		ecr.AccessDenied:      "allow {want} on resource * to this AWS identity",
		ecr.RoleDenied:        "allow {want} to this AWS identity, and let the role trust it (policy, external_id)",
		ecr.WebIdentityDenied: "let the trust policy of AWS_ROLE_ARN accept the token's issuer, audience and subject",
		ecr.SSOLogin: "<use an AWS profile without IAM Identity Center on the workers, or log in there|log in> (aws " +
			"sso login), and check sso_account_id and sso_role_name of the profile",
		ecr.BadKeys: "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY{env}, the region, and {host}'s clock",
		ecr.SessionExpired: "<give the worker a role|run aws sso login>, or set a new AWS_SESSION_TOKEN with its " +
			"keys{env}, and check {host}'s clock",
		ecr.WrongAccountOrRegion: "check " + registryIn + ", and that the region is enabled",
		ecr.Unavailable:          awsDown,
		ecr.NotAWS:               "check AWS_ENDPOINT_URL and HTTPS_PROXY{env}: something answers in the place of AWS",
		ecr.BadConfig:            "check AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, AWS_CA_BUNDLE{env}",
		ecr.BadEndpoint:          "correct AWS_ENDPOINT_URL…{env}, or endpoint_url of the AWS profile",
		ecr.NoCredentials:        "set AWS_PROFILE or AWS_ACCESS_KEY_ID{env}, or attach a role to {host}",
		ecr.NoTokenFile: "check AWS_WEB_IDENTITY_TOKEN_FILE{env}; on EKS, the service account of the pod (which must " +
			"name the role), and fsGroup in its securityContext (which lets its user read the token)",
		ecr.ProcessFailed:     "run credential_process of the profile AWS_PROFILE by hand<, as the worker's user|>",
		ecr.ContainerEndpoint: "check the Pod Identity association (EKS) or task role (ECS), and its trust policy",
		ecr.NotECRHost: "give ACCOUNT.dkr.ecr.REGION.amazonaws.com, its FIPS, dual-stack or other partition's form, " +
			"or public.ecr.aws; for a new partition, add partition_suffix to an entry of ecr_targets",

		// The registry
		registry.WrongRegion: "check " + registryIn + ": the token is of another region than {object}, or altered",
		registry.Rejected:    newToken + "; then check the repository policy and the VPC endpoint policy of {object}",
		registry.Unavailable: awsDown,
		registry.NotRegistry: "check that {object} is a Docker registry, and HTTPS_PROXY and NO_PROXY{env}",

		// Results, steps
		xcom.NoResult:     "<clear {object} with Downstream|run that step first, and pass its result with --in>",
		xcom.OtherVersion: "install one version of ecr-refresh on all workers, and clear {object} with Downstream",
		xcom.NotAResult: "<clear {object} with Downstream; apache-airflow-providers-docker before 4.5.1 cuts a long " +
			"result|pass the last line that this step printed, unchanged>",
		steps.OldResult:      newToken + "<: it gets a new token|, or raise --max-age (ECR_REFRESH_MAX_AGE)>",
		steps.BadToken:       "set the clocks of the workers (NTP), and " + newToken,
		steps.HostMismatch:   "correct " + registryIn + ", or set the host of connection {object} to {want}",
		steps.HostNotBare:    "set the host of connection {object} to {want}",
		steps.NotOfDocker:    "name another connection than {object}, or set its type to Docker",
		steps.EarlierFailure: "see the log of {object}",
		steps.NotAsked: "<clear extract_ecr_token with Downstream: its result is of other connection_ids or another " +
			"ecr_targets, or was altered|name it in --connection-ids (ECR_REFRESH_CONNECTION_IDS) or --targets>",
		steps.NoLogin: "run the DAG without dry_run; check what overrides the connection on the workers",
		steps.Overridden: "unset AIRFLOW_CONN_{want} on the workers, or remove {object} from their secrets backend: " +
			"tasks read these first",
		steps.ManyFailed: "see the error lines above",

		// Docker
		docker.BadHost: "set DOCKER_HOST<{env}| (--engine)> to unix:///PATH or tcp://HOST:PORT<|, or --engine none>",
		docker.BadCertificates: "check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH{env}: they must be of " +
			"Docker's CA, and Docker's certificate of its host's name; Docker must speak TLS 1.2 or newer",
		docker.NoDaemon: "start Docker< on this worker|>, or set DOCKER_HOST<{env}; on workers without Docker set " +
			"ECR_REFRESH_ENGINE=none there| (--engine); without Docker give --engine none>",
		docker.NotDocker: "check that DOCKER_HOST<| (--engine)> and DOCKER_TLS_VERIFY{env} lead to Docker; a proxy " +
			"before it must pass GET /version and POST /auth",
		docker.SocketPermission: "add this user to the group of the socket (docker)<; with DockerOperator, set " +
			"SOCKET_USER in the DAG's file|, or mount the socket into the container>",
		docker.Unavailable:       "wait, and " + again,
		docker.Failed:            "see the log of Docker< on this worker|>, and check its own proxy settings",
		docker.BadCredential:     "<clear extract_ecr_token with Downstream|run all three steps again>",
		docker.UntrustedRegistry: "put the registry's CA where Docker reads it: /etc/docker/certs.d/HOST/ca.crt",
		docker.BadConfig:         "correct {object} on {host}",
		docker.EntryWins:         "remove this entry from {object} on {host}, or run there: docker logout {want}",
		docker.EntryUsed:         "nothing, while that login is fresh: tasks do not use the connection's password",
		docker.OtherServer:       "set the host of the connection to {object} alone, and empty its port",
		docker.HelperFails:       "remove this entry, or find out on {host} why it fails: echo {want} | {object} get",

		// setup, status
		setup.Differs:   "look at what differs, then let ecr-refresh setup --force change it",
		status.NoToken:  "trigger the DAG, and look at its last run",
		status.Doubtful: "trigger the DAG: it updates and tests the connection; ecr-refresh doctor shows its last run",

		// Airflow
		airflowclient.BadBaseURL:  apiAddress + orURL + ": http[s]://HOST[:PORT][/PATH], without a login",
		airflowclient.BadName:     "use a name without \"/\" and control characters",
		airflowclient.BadPassword: newToken + "<|, or choose another password where you chose it yourself>",
		airflowclient.BadGrantType: "correct grant_type in the extra of connection airflow-api<: Admin > Connections" +
			"| (ECR_REFRESH_AIRFLOW_GRANT_TYPE)>",
		airflowclient.LoginRejected: "check {object}<: Admin > Connections|>",
		airflowclient.LoginFailed: "look into the log of Airflow's API server; with Keycloak, a wrong password has " +
			"this answer, too: check {object}, then " + again,
		airflowclient.TokenRejected: "put a new token into <Variable ecr_refresh_airflow_token|{object}>, or <delete " +
			"the Variable|unset it> to log in with login and password",
		airflowclient.JWTRejected:     "give all API servers one [api_auth] jwt_secret, and check their clocks",
		airflowclient.NoLoginEndpoint: apiAddress + "; the auth manager must offer POST /auth/token",
		airflowclient.NotAirflow:      apiAddress + orURL + ": below it, /api/v2/version must answer JSON itself",
		airflowclient.Forbidden:       needs + "grant it where this Airflow's auth manager keeps rights" + areEnough,
		airflowclient.ForbiddenByFAB:  needs + "airflow roles add-perms ROLE -r '{object}' -a {want}" + areEnough,
		airflowclient.ForbiddenByKeycloak: needs + "let a permission of Airflow's client in Keycloak grant it to the " +
			"account's role; that client's decision strategy must be Affirmative (GET, LIST, PUT are enough)",
		airflowclient.ForbiddenBySimple: needs + "give it the role op in [core] simple_auth_manager_users",
		airflowclient.Invalid:           "use an ecr-refresh that supports this Airflow (docs/compatibility.md)",
		airflowclient.NoConnection: "create it: airflow connections add {object} --conn-type docker --conn-host " +
			"REGISTRY --conn-login AWS (one from an environment variable or a secrets backend cannot be updated)",
		airflowclient.NoPool:      "create it: airflow pools set {object} SLOTS DESCRIPTION",
		airflowclient.NoVariable:  "create it: airflow variables set {object} VALUE",
		airflowclient.NoDAG:       "deploy it: ecr-refresh dag install",
		airflowclient.NoXCom:      "check the log of that task: it returned no result",
		airflowclient.Conflict:    "try again: it exists already, or somebody else changes it at the same time",
		airflowclient.Unavailable: "look into the log of Airflow's API server, then " + again,
	}
}
