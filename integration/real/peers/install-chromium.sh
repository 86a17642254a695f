#!/usr/bin/env bash
# Installs Chromium and one font of Debian's packages (as root) for the test of Airflow's UI, where it is missing.
# A second run finds it and ends at once. Nothing is started.
set -euo pipefail

. "$(dirname "$0")/packages.sh"

main() {
  have chromium && return
  mkdir -p "$cache"
  exec 9>"$cache/install.lock"
  flock 9 # install.sh holds the same lock: apt-get serves one at a time, and both keep services down
  have chromium || install_packages apt-chromium.log chromium fonts-dejavu-core
}

main
