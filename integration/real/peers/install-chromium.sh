#!/usr/bin/env bash
# Installs Chromium and one font of Debian's packages (as root) for the test of Airflow's UI, where it is missing.
# A second run finds it and ends at once. Nothing is started.
set -euo pipefail

cache="${XDG_CACHE_HOME:-$HOME/.cache}/ecr-refresh"

main() {
  have chromium && return
  [ "$(id -u)" -eq 0 ] || die "missing chromium: run as root, or: sudo apt-get install chromium fonts-dejavu-core"
  have apt-get || die "missing chromium, and this machine has no apt-get: install it by hand"
  mkdir -p "$cache"
  exec 9>"$cache/install.lock"
  flock 9 # install.sh holds the same lock: apt-get serves one at a time, and both keep services down
  have chromium && return
  say "installing chromium"
  keep_services_down
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends \
    chromium fonts-dejavu-core >"$cache/apt-chromium.log" 2>&1 ||
    { tail -n 20 "$cache/apt-chromium.log" >&2; die "apt-get install failed"; }
}

# A package that chromium depends on may bring a service: none is to start.
keep_services_down() {
  [ -e /usr/sbin/policy-rc.d ] && return
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}

have() { command -v "$1" >/dev/null 2>&1; }
say() { echo "peers: $*" >&2; }
die() { say "$*"; exit 1; }

main
