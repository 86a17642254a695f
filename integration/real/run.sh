#!/usr/bin/env bash
# Installs the real peers where they are missing, runs all tests on them, and stops them. Arguments go to go test:
#
#   integration/real/run.sh -run TestReal/deployed -v
#
# AIRFLOW names the release (3.3.2), AUTH_MANAGER its auth manager (simple, fab or keycloak),
# KEYCLOAK the release of Keycloak (26.7.3, or 26.5.6), ECR_REFRESH_BIN the binary (bin/ecr-refresh when there is one,
# else it is built).
set -euo pipefail
cd "$(dirname "$0")/../.."

integration/real/peers/install.sh
if [ -z "${ECR_REFRESH_BIN:-}" ] && [ -x bin/ecr-refresh ]; then
  export ECR_REFRESH_BIN="$PWD/bin/ecr-refresh"
fi
INTEGRATION=required exec go test -count=1 -timeout 40m ./integration/real "$@"
