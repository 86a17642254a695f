#!/bin/sh
# The three steps as Airflow runs them: three processes that share nothing but the documents. `make demo` runs this in
# the sandbox; the sandbox's Airflow passes the connection to step 3, as it does to a task.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT

echo '$ ecr-refresh extract-ecr-token --out token.json'
ecr-refresh extract-ecr-token --out token.json >/dev/null
echo '$ ecr-refresh update-docker-connection --in token.json --out published.json'
ecr-refresh update-docker-connection --in token.json --out published.json >/dev/null
echo '$ ecr-refresh test-docker-connection --in published.json'
ecr-sandbox task docker_default -- ecr-refresh test-docker-connection --in published.json
