// Package dags holds the Airflow DAGs that run the steps, as they are deployed into a DAG folder.
package dags

import _ "embed"

// RefreshDockerTokenFile is the name under which RefreshDockerToken lies in a DAG folder.
const RefreshDockerTokenFile = "refresh_docker_token.py"

// RefreshDockerToken is the DAG refresh_docker_token_v4: the three steps, each a BashOperator.
//
//go:embed refresh_docker_token.py
var RefreshDockerToken string

// RefreshDockerTokenDockerFile is the name under which RefreshDockerTokenDocker lies in a DAG folder.
const RefreshDockerTokenDockerFile = "refresh_docker_token_docker.py"

// RefreshDockerTokenDocker is the DAG refresh_docker_token_docker_v4: the three steps, each a DockerOperator.
//
//go:embed refresh_docker_token_docker.py
var RefreshDockerTokenDocker string
