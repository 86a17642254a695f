#!/usr/bin/env bash
# Installs what the real peers need and is missing: a Docker Engine, podman, a registry, htpasswd, PostgreSQL and Redis
# from Debian's packages (as root), and Airflow, its providers and moto in a virtualenv of their own. Nothing is started,
# neither now nor at boot.
#
#   integration/real/peers/install.sh [AIRFLOW_VERSION]      default: $AIRFLOW, then 3.3.2
#
# The virtualenv lies in ${XDG_CACHE_HOME:-~/.cache}/ecr-refresh/airflow-<version>. A second run finds everything and
# ends at once. purge.sh removes it all.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

version="${1:-${AIRFLOW:-3.3.2}}"
venv="$cache/airflow-$version"

# A release that does not cap its dependencies is installed as of a day on which they still suited it.
case "$version" in
  3.0.6) as_of=2025-09-05 ;;
  3.1.8) as_of=2026-03-20 ;;
  3.2.2) as_of=2026-06-10 ;;
  3.3.2) as_of=2026-11-23 ;;
  *) as_of= ;;
esac

packages=(
  "apache-airflow==$version"
  apache-airflow-providers-standard apache-airflow-providers-docker # the operators
  apache-airflow-providers-fab                                      # the other auth manager
  apache-airflow-providers-celery 'celery<5.7' redis                # the other executor; Celery 5.7 breaks its provider
  psycopg2-binary asyncpg 'moto[server]'
)
# A pre-release is taken of Airflow alone, not of what it depends on: uv wants each such package named.
case "$version" in *[ab]* | *rc*) packages+=("apache-airflow-core==$version") ;; esac

main() {
  mkdir -p "$cache"
  exec 9>"$cache/install.lock"
  flock 9 # two runs at a time would write into one virtualenv
  debian_packages
  python_packages
}

debian_packages() {
  local missing=()
  have dockerd || missing+=(docker.io)
  have podman || missing+=(podman)
  have docker-registry || missing+=(docker-registry)
  have htpasswd || missing+=(apache2-utils)
  have redis-server || missing+=(redis-server)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
  [ ${#missing[@]} -eq 0 ] || install_packages apt.log "${missing[@]}"
}

python_packages() {
  local stamp="$venv/.ecr-refresh" wanted="${packages[*]} as of ${as_of:-now}"
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
  have python3 || die "missing python3 (3.10 or newer)"
  say "installing Airflow $version into $venv"
  local uv
  uv="$(find_uv)"
  "$uv" venv --quiet --clear --python "$(command -v python3)" "$venv"
  "$uv" pip install --quiet --python "$venv/bin/python" ${as_of:+--exclude-newer "$as_of"} "${packages[@]}"
  "$venv/bin/python" -m compileall -q "$venv/lib" >/dev/null || true # a few packages carry templates that are no Python
  printf '%s\n' "$wanted" >"$stamp"
}

# uv resolves Airflow's dependencies in seconds, where pip takes minutes. --target leaves the system's Python alone.
find_uv() {
  if have uv; then command -v uv; return; fi
  [ -x "$cache/uv/bin/uv" ] || python3 -m pip install --quiet --root-user-action ignore --target "$cache/uv" uv >&2
  echo "$cache/uv/bin/uv"
}

main
