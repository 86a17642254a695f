#!/usr/bin/env bash
# Times the three steps beside their Python baseline, on the same stand-ins, and prints one table. Arguments go to the
# program (-pairs N, -check); `make bench` has built bin/ecr-refresh before.
#
# It installs what is missing: a virtualenv with boto3, requests and docker-py (requirements.txt), kept in
# ${XDG_CACHE_HOME:-~/.cache}/ecr-refresh/bench. $PYTHON names another interpreter than the distribution's, which is
# taken first since it is built with optimization by profile, as the ones in Airflow's images are.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ecr-refresh/bench"

main() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9 # one at a time: two would disturb each other
  python_packages
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  # An interpreter compiles the file that it is given each time, a package's only once: give it compiled too.
  "$venv/bin/python" -c 'import py_compile, sys; py_compile.compile(sys.argv[1], cfile=sys.argv[2], doraise=True)' \
    "$here/baseline.py" "$work/baseline.pyc"
  empty_program
  cd "$here"
  CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/" . ./rusage
  helper
  ../real/peers/install.sh 3.3.2
  "$work/bench" -airflow "${XDG_CACHE_HOME:-$HOME/.cache}/ecr-refresh/airflow-3.3.2" -helper "$cache/bin/docker-credential-ecr-login" \
    -ecr-refresh ../../bin/ecr-refresh -python "$venv/bin/python" -baseline "$work/baseline.pyc" \
    -rusage "$work/rusage" -empty "$work/empty" "$@"
}

python_packages() {
  local python stamp wanted
  python="$(find_python)"
  venv="$cache/$("$python" -c 'import hashlib, sys; print("python-%d.%d-" % sys.version_info[:2] + hashlib.sha256(sys.executable.encode()).hexdigest()[:8])')"
  stamp="$venv/.ecr-refresh" wanted="$(cat "$here/requirements.txt")"
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
  echo "bench: installing boto3, requests and docker-py into $venv" >&2
  if command -v uv >/dev/null; then
    uv venv --quiet --clear --python "$python" "$venv"
    uv pip install --quiet --python "$venv/bin/python" --requirement "$here/requirements.txt"
  else
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
  fi
  "$venv/bin/python" -m compileall -q "$venv/lib"
  printf '%s\n' "$wanted" >"$stamp"
}

find_python() {
  local python
  for python in ${PYTHON:-/usr/bin/python3 python3}; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || continue
    command -v uv >/dev/null || "$python" -m ensurepip --version >/dev/null 2>&1 || continue
    "$python" -c 'import sys; print(sys.executable)'
    return
  done
  echo "bench: missing python3 (3.10 or newer, with venv) or uv" >&2
  exit 1
}

# helper builds AWS's own credential helper, which gets the same token.
helper() {
  local at=github.com/awslabs/amazon-ecr-credential-helper/ecr-login/cli/docker-credential-ecr-login@v0.12.0
  [ -x "$cache/bin/docker-credential-ecr-login" ] || (cd "$work" && CGO_ENABLED=0 GOBIN="$cache/bin" go install -trimpath -ldflags '-s -w' "$at")
}

# empty_program is what start-up is measured from: a static Go program that does nothing.
empty_program() {
  printf 'package main\n\nfunc main() {}\n' >"$work/empty.go"
  CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/empty" "$work/empty.go"
}

main "$@"
