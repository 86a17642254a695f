// Package names holds every name that the DAG, the commands and their hints share, once.
package names

// Names of Airflow's objects.
const (
	DAG  = "refresh_docker_token_v4" // by BashOperator
	Pool = "systemqueue"

	AirflowConnection = "airflow-api"    // how to reach Airflow's REST API
	DockerConnection  = "docker_default" // the connection to refresh unless others are named

	AccountVariable    = "ecr_aws_account"
	RegionVariable     = "ecr_aws_region_name"
	TargetsVariable    = "ecr_targets"
	RecipientVariable  = "ecr_refresh_recipient"   // public key
	PrivateKeyVariable = "ecr_refresh_private_key" // masked by Airflow for its name
	TokenVariable      = "ecr_refresh_airflow_token"
)

// Names in the environment that the DAG and the commands share.
const (
	OperatorEnv = "ECR_REFRESH_OPERATOR" // set in a task: the operator that runs it, bash or docker
	EnvFileEnv  = "ECR_REFRESH_ENV_FILE" // a file with values of variables that are not set

	AccountEnv       = "AIRFLOW_VAR_ECR_AWS_ACCOUNT"
	RegionEnv        = "AIRFLOW_VAR_ECR_AWS_REGION_NAME"
	TargetsEnv       = "AIRFLOW_VAR_ECR_TARGETS" // in parts
	ConnectionIDsEnv = "ECR_REFRESH_CONNECTION_IDS"
	HostsEnv         = "ECR_REFRESH_CONNECTION_HOSTS" // in parts: a JSON object of hosts by connection id
	ResultEnv        = "ECR_REFRESH_DOCUMENT"         // in parts: the result of the previous step

	AirflowConnectionEnv = "ECR_REFRESH_AIRFLOW_CONNECTION" // id of the connection that the next ones come from
	GrantTypeEnv         = "ECR_REFRESH_AIRFLOW_GRANT_TYPE" // of its extra

	AirflowPrefix = "ECR_REFRESH_AIRFLOW_"       // followed by CONN_TYPE, SCHEMA, HOST, PORT, LOGIN, PASSWORD or TOKEN
	AdminPrefix   = "ECR_REFRESH_ADMIN_"         // followed by LOGIN, PASSWORD or TOKEN
	DockerPrefix  = "ECR_REFRESH_DOCKER_"        // followed by HOST, PORT, LOGIN or PASSWORD
	LoginsEnv     = "ECR_REFRESH_DOCKER_SECRETS" // in parts: the logins of connections

	RecipientEnv    = "ECR_REFRESH_RECIPIENT"
	PrivateKeyEnv   = "ECR_REFRESH_PRIVATE_KEY"
	DryRunEnv       = "ECR_REFRESH_DRY_RUN"
	RequireHTTPSEnv = "ECR_REFRESH_REQUIRE_HTTPS"
)
