// Package dags holds the Airflow DAG that runs the steps, and writes a site's settings into it.
package dags

import _ "embed"

// RefreshDockerToken is the DAG refresh_docker_token_v4: the three steps, each a BashOperator. Render returns it with
// DockerOperator too.
//
//go:embed refresh_docker_token.py
var RefreshDockerToken string

// The names of the DAG's files in a DAG folder: with BashOperator and with DockerOperator.
const (
	RefreshDockerTokenFile       = "refresh_docker_token.py"
	RefreshDockerTokenDockerFile = "refresh_docker_token_docker.py"
)
