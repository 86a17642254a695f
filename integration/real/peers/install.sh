#!/usr/bin/env bash
# Installs what the real peers need and is missing: a Docker Engine, podman, a registry, htpasswd, PostgreSQL and Redis
# from Debian's packages (as root), and Airflow, its providers and moto in a virtualenv of their own. With
# AUTH_MANAGER=keycloak also Java, and Keycloak of Maven's registry. Nothing is started, neither now nor at boot.
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

keycloak="${KEYCLOAK:-26.7.3}"
case "$keycloak" in # of the zip
  26.5.6) keycloak_sha256=490189d9dff05272432d51f71a069462eeca97f2920a694d539a1e6c26a5a347 ;;
  26.7.3) keycloak_sha256=27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f ;;
  *) die "Keycloak $keycloak: want 26.5.6 or 26.7.3" ;;
esac
keycloak_provider=apache-airflow-providers-keycloak==0.11.2

main() {
  mkdir -p "$cache"
  exec 9>"$cache/install.lock"
  flock 9 # two runs at a time would write into one virtualenv
  debian_packages
  python_packages
  [ "${AUTH_MANAGER:-}" != keycloak ] || { keycloak_server; keycloak_auth_manager; }
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

# keycloak_server installs Keycloak with its database in memory, built, so that it starts at once.
keycloak_server() {
  local home="$cache/keycloak-$keycloak" work missing=()
  [ -d "$home" ] && return
  have java || missing+=(default-jre-headless)
  have mvn || missing+=(maven)
  [ ${#missing[@]} -eq 0 ] || install_packages apt.log "${missing[@]}"
  say "installing Keycloak $keycloak into $home"
  work="$cache/keycloak-$keycloak.new"
  rm -rf "$work"
  mvn --batch-mode -Dstyle.color=never --quiet --strict-checksums -Dmaven.repo.local="$work/maven" \
    org.apache.maven.plugins:maven-dependency-plugin:2.8:copy -DoutputDirectory="$work" \
    -Dartifact="org.keycloak:keycloak-quarkus-dist:$keycloak:zip"
  (cd "$work" && echo "$keycloak_sha256  keycloak-quarkus-dist-$keycloak.zip" | sha256sum --check --quiet) ||
    die "Keycloak $keycloak is not what it was"
  (cd "$work" && python3 -m zipfile -e "keycloak-quarkus-dist-$keycloak.zip" .)
  chmod +x "$work/keycloak-$keycloak/bin/"*.sh
  "$work/keycloak-$keycloak/bin/kc.sh" build --db=dev-mem --cache=local >"$cache/keycloak.log" 2>&1 ||
    { tail -n 20 "$cache/keycloak.log" >&2; die "kc.sh build failed"; }
  mv "$work/keycloak-$keycloak" "$home"
  rm -rf "$work"
}

# keycloak_auth_manager adds the provider to an Airflow, and changes no other package there.
keycloak_auth_manager() {
  local stamp="$venv/.ecr-refresh-keycloak"
  [ "$(cat "$stamp" 2>/dev/null)" = "$keycloak_provider" ] && return
  say "installing $keycloak_provider into $venv"
  "$(find_uv)" pip install --quiet --python "$venv/bin/python" ${as_of:+--exclude-newer "$as_of"} "$keycloak_provider"
  printf '%s\n' "$keycloak_provider" >"$stamp"
}

# uv resolves Airflow's dependencies in seconds, where pip takes minutes. --target leaves the system's Python alone.
find_uv() {
  if have uv; then command -v uv; return; fi
  [ -x "$cache/uv/bin/uv" ] || python3 -m pip install --quiet --root-user-action ignore --target "$cache/uv" uv >&2
  echo "$cache/uv/bin/uv"
}

main
