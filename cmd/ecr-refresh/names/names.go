// Package names holds every name that the DAG, setup, doctor, status and keygen share, once.
package names

// Names of Airflow's objects.
const (
	DAG       = "refresh_docker_token_v4"        // by BashOperator
	DockerDAG = "refresh_docker_token_docker_v4" // by DockerOperator
	Pool      = "systemqueue"
	PoolSlots = 5
	PoolUse   = "System maintenance tasks"
	Queue     = "systemqueue"

	AirflowConnection = "airflow-api"    // how to reach Airflow's REST API
	DockerConnection  = "docker_default" // the connection to refresh unless others are named

	AccountVariable    = "ecr_aws_account"
	RegionVariable     = "ecr_aws_region_name"
	TargetsVariable    = "ecr_targets"
	RecipientVariable  = "ecr_refresh_recipient"   // public key
	PrivateKeyVariable = "ecr_refresh_private_key" // masked by Airflow for its name
	TokenVariable      = "ecr_refresh_airflow_token"
)
