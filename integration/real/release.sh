#!/usr/bin/env bash
# Installs what `make release` made, as a user would: wheels by pip and uv, deb, rpm, and the image by Docker and Podman;
# and runs a task of a real Airflow with the wheel. What is for arm64 runs under qemu; of what is for macOS only the
# headers are read.
# Nothing is installed on this machine but these tools (as root). Python 3.10 and 3.13 are pyenv's, or those that uv finds
# or fetches.
set -euo pipefail
cd "$(dirname "$0")/../.."
. integration/real/peers/packages.sh

release="$PWD/bin/release"
work="$(mktemp -d)"
trap 'stop; rm -rf "$work"' EXIT
version="$(bin/ecr-refresh --version)"
number="$(cut -d ' ' -f 3 <<<"$version")"
pythons=$(printf '%s:' "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin)

main() {
  tools
  (cd "$release" && sha256sum --quiet --check SHA256SUMS)
  part archive
  part wheels
  part deb
  part rpm
  part units
  part image
  part arm64
  part macos
  part airflow
  echo "release: $passed passed, 0 failed"
}

passed=0
part() {
  echo "release: $1" >&2
  "$1"
  passed=$((passed + 1))
}

# is WHAT GOT WANT fails unless both are equal.
is() { [ "$2" = "$3" ] || { printf 'release: %s\n%s\nwant\n%s\n' "$1" "$2" "$3" >&2; exit 1; }; }

# one PATTERN prints the path of the release's only file of that name.
one() {
  local found=("$release"/$1)
  [ ${#found[@]} -eq 1 ] && [ -f "${found[0]}" ] || die "no file, or several, are $1"
  echo "${found[0]}"
}

tools() {
  local missing=()
  have dockerd || missing+=(docker.io)
  have podman || missing+=(podman)
  have rpm || missing+=(rpm)
  have systemd-analyze || missing+=(systemd)
  have qemu-aarch64-static || missing+=(qemu-user-static)
  mkdir -p "$cache"
  exec 9>"$cache/install.lock"
  flock 9
  # in a subshell, since it sets a trap of its own
  [ ${#missing[@]} -eq 0 ] || (install_packages apt-release.log "${missing[@]}")
  uv="$(command -v uv || echo "$cache/uv/bin/uv")"
  [ -x "$uv" ] || python3 -m pip install --quiet --root-user-action ignore --target "$cache/uv" uv >&2
  exec 9>&-
}

# archive does what the README says of it.
archive() {
  local arch
  arch="$(dpkg --print-architecture)"
  mkdir "$work/archive"
  tar -xzf "$(one "*-linux-$arch.tar.gz")" -C "$work/archive" ecr-refresh
  is "the archive" "$("$work/archive/ecr-refresh" --version)" "$version"
  is "all that is unpacked" "$(stat -c '%U %a' "$work/archive"/*)" "$(id -un) 755"
}

wheels() {
  local python
  "$uv" tool run --quiet twine check --strict "$release"/*.whl >"$work/twine" || { cat "$work/twine"; die "twine check fails"; }
  for wheel in "$release"/*.whl; do
    "$uv" tool run --quiet wheel unpack --dest "$work" "$wheel" >/dev/null # compares the files with RECORD
    rm -r "$work"/ecr_refresh-*
  done
  for python in 3.10 3.13; do
    python="$(find_python "$python")"
    "$python" -m venv --clear "$work/pip"
    "$work/pip/bin/pip" install --quiet --pre --no-index --find-links "$release" ecr-refresh
    is "pip, $python" "$("$work/pip/bin/ecr-refresh" --version)" "$version"
    is "what pip shows" "$("$work/pip/bin/pip" show ecr-refresh | sed -n 's/^Version: //p')" "${number/-dev/.dev0}"
    "$work/pip/bin/pip" uninstall --quiet --yes ecr-refresh
    [ ! -e "$work/pip/bin/ecr-refresh" ] || die "pip uninstall leaves the binary"
    "$uv" venv --quiet --clear --python "$python" "$work/uv"
    VIRTUAL_ENV="$work/uv" "$uv" pip install --quiet "$(one "*manylinux*_$(uname -m)*.whl")"
    is "uv, $python" "$("$work/uv/bin/ecr-refresh" --version)" "$version"
  done
  for platform in manylinux_2_17_x86_64 manylinux2014_aarch64 musllinux_1_1_x86_64 musllinux_1_1_aarch64 macosx_12_0_x86_64 macosx_26_0_arm64; do
    "$work/pip/bin/pip" download --quiet --pre --no-index --find-links "$release" --only-binary :all: --platform "$platform" \
      --dest "$work/$platform" ecr-refresh || die "pip finds no wheel for $platform"
  done
}

find_python() {
  PATH="$pythons$PATH" "$uv" python find "$1" 2>/dev/null && return
  "$uv" python install --quiet "$1" && "$uv" python find "$1"
}

# holds ROOT fails unless a package's files are there, and its binary runs where there is no other file.
holds() {
  is "the binary of $1" "$(chroot "$1" /usr/bin/ecr-refresh --version)" "$version"
  is "the modes in $1" "$(stat -c %a "$1/etc/ecr-refresh.env" "$1/usr/bin/ecr-refresh" | xargs)" "600 755"
  gzip -t "$1/usr/share/man/man1/ecr-refresh.1.gz"
  bash -n "$1/usr/share/bash-completion/completions/ecr-refresh"
  ls "$1"/usr/share/fish/vendor_completions.d/ecr-refresh.fish "$1"/usr/share/zsh/*/_ecr-refresh \
    "$1"/usr/share/doc/ecr-refresh/{copyright,THIRD_PARTY_LICENSES,ecr-refresh.cdx.json} >/dev/null
}

deb() {
  local root="$work/deb" arch
  arch="$(dpkg --print-architecture)"
  mkdir -p "$root/var/lib/dpkg" && touch "$root/var/lib/dpkg/status"
  in_root() { dpkg --root="$root" --log=/dev/null --force-script-chrootless "$@"; }
  in_root --install "$(one "*_$arch.deb")" >/dev/null
  holds "$root"
  is "dpkg --verify" "$(in_root --verify ecr-refresh)" ""
  is "its version" "$(dpkg-query --admindir="$root/var/lib/dpkg" --show --showformat '${Version}' ecr-refresh)" "${number/-/\~}"
  cp -r "$root" "$work/units"
  in_root --remove ecr-refresh >/dev/null
  [ -f "$root/etc/ecr-refresh.env" ] || die "removing the package removes its configuration"
  in_root --purge ecr-refresh >/dev/null
  is "what is left of the package" "$(find "$root" -name '*ecr-refresh*')" ""
  dpkg-deb --info "$(one '*_arm64.deb')" >/dev/null
}

rpm() {
  local root="$work/rpm"
  command rpm --root "$root" --dbpath /var/lib/rpm --initdb
  in_root() { command rpm --root "$root" --dbpath /var/lib/rpm "$@"; }
  in_root --install --nodeps --noscripts "$(one "*.$(uname -m).rpm")"
  holds "$root"
  is "rpm --verify" "$(in_root --verify --nodeps ecr-refresh)" ""
  is "its version" "$(in_root --query --queryformat '%{VERSION}' ecr-refresh)" "${number/-/\~}"
  command rpm --query --package --list "$(one '*.aarch64.rpm')" >/dev/null
}

# units reads the files of the deb.
units() {
  local folder="$work/units/usr/lib/systemd/system"
  sed -i "s,/usr/bin/ecr-refresh,$work/units&," "$folder/ecr-refresh.service"
  is "systemd-analyze verify" "$(systemd-analyze verify --man=no "$folder"/ecr-refresh.{service,timer} 2>&1)" ""
  systemd-analyze security --offline=true --threshold=20 --no-pager "$folder/ecr-refresh.service" >"$work/security" ||
    { cat "$work/security"; die "systemd-analyze security: the service is exposed more than 2.0"; }
}

image() {
  local arch archive name
  arch="$(dpkg --print-architecture)" archive="$(one ecr-refresh-image.tar)" name="ecr-refresh:$number"
  export DOCKER_HOST="unix://$work/docker.sock"
  dockerd --host "$DOCKER_HOST" --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
    --bridge none --iptables=false --storage-driver vfs >"$work/dockerd.log" 2>&1 &
  daemon=$!
  timeout 60 bash -c 'until docker version >/dev/null 2>&1; do sleep 0.2; done' || { tail "$work/dockerd.log"; die "dockerd does not start"; }
  is "docker load" "$(docker load --input "$archive" | sort)" "Loaded image: $name-amd64
Loaded image: $name-arm64"
  in_docker() { docker run --rm --read-only --network none --cap-drop ALL --user 12345:12345 --env HOME= "$@"; }
  is "the image" "$(in_docker "$name-$arch" --version)" "$version"
  in_docker "$name-$arch" plan --account 123456789012 --region us-east-1 >/dev/null
  in_docker "$name-$arch" dag | cmp - <(bin/ecr-refresh dag)
  is "the image for arm64" "$(in_docker --platform linux/arm64 --volume "$(command -v qemu-aarch64-static):/qemu:ro" \
    --entrypoint /qemu "$name-arm64" /usr/bin/ecr-refresh --version)" "$version"
  local label='{{index .Config.Labels "org.opencontainers.image.version"}}'
  is "its label" "$(docker image inspect --format "$label" "$name-arm64")" "$number"
  in_podman() { podman --root "$work/podman" --runroot "$work/podman-run" --storage-driver vfs "$@"; }
  in_podman load --quiet --input "$archive" >/dev/null
  is "podman load" "$(in_podman image inspect --format '{{.Architecture}} {{.User}}' "$name")" "$arch 65532:65532"
}

# unpack NAME WHEEL PLATFORM extracts the binary of an archive and prints its path. It fails unless uv finds the same one
# in the wheel, for a platform as uv names it.
unpack() {
  local folder="$work/$1"
  mkdir "$folder"
  tar -C "$folder" -xzf "$(one "ecr-refresh-$1.tar.gz")" ecr-refresh
  "$uv" pip install --quiet --target "$folder/wheel" --python-platform "$3" "$(one "$2")"
  cmp "$folder/ecr-refresh" "$folder/wheel/bin/ecr-refresh" >&2 && echo "$folder/ecr-refresh"
}

# arm64 runs the three steps under qemu, against stand-ins that run without it.
arm64() {
  local binary folder="$work/arm64"
  binary="$(unpack linux-arm64 '*manylinux*_aarch64*.whl' aarch64-manylinux_2_17)"
  mkdir "$folder"
  dpkg-deb --extract "$(one '*_arm64.deb')" "$folder/deb"
  cmp "$folder/deb/usr/bin/ecr-refresh" "$binary"
  rpm2archive --nocompression - <"$(one '*.aarch64.rpm')" | tar -xO ./usr/bin/ecr-refresh | cmp - "$binary"
  CGO_ENABLED=0 go build -o "$folder" ./cmd/ecr-sandbox # which adds its folder to PATH
  printf '#!/bin/sh\nexec qemu-aarch64-static %s "$@"\n' "$binary" >"$folder/ecr-refresh"
  chmod 755 "$folder/ecr-refresh"
  is "the binary for arm64" "$("$folder/ecr-refresh" --version)" "$version"
  "$folder/ecr-sandbox" -- sh integration/sandbox/demo.sh >"$work/demo" 2>&1 || { cat "$work/demo"; die "a step fails on arm64"; }
  is "what the steps say on arm64" "$(grep -oE 'accepts the token|has the new token|Docker answered.*' "$work/demo")" \
    'accepts the token
accepts the token
has the new token
Docker answered "Login Succeeded"'
}

# macos reads what macOS reads before it starts a program. No arm64 Mac starts one that is not signed.
macos() {
  local binary libraries='/usr/lib/libSystem.B.dylib
/usr/lib/libresolv.9.dylib
/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation
/System/Library/Frameworks/Security.framework/Versions/A/Security'
  binary="$(unpack darwin-amd64 '*macosx*_x86_64.whl' x86_64-apple-darwin)"
  is "the binary for Intel Macs" "$(go run ./integration/real/macho "$binary")" "CpuAmd64 Exec, signed: false
$libraries"
  binary="$(unpack darwin-arm64 '*macosx*_arm64.whl' aarch64-apple-darwin)"
  is "the binary for arm64 Macs" "$(go run ./integration/real/macho "$binary")" "CpuArm64 Exec, signed: true
$libraries"
}

# airflow runs step 1 as a task of an Airflow that systemd or cron would start: by its full path, without its folder on
# PATH. The wheel is in an environment of its own, which has Airflow from the installed one.
airflow() {
  local venv="$work/venv" installed="$cache/airflow-${AIRFLOW:-3.3.2}"
  integration/real/peers/install.sh
  "$installed/bin/python" -m venv --without-pip "$venv"
  local packages='import sysconfig; print(sysconfig.get_path("purelib"))'
  "$installed/bin/python" -c "$packages" >"$("$venv/bin/python" -c "$packages")/airflow.pth"
  VIRTUAL_ENV="$venv" "$uv" pip install --quiet --no-deps "$(one "*manylinux*_$(uname -m)*.whl")"
  mkdir "$work/dags" "$work/sandbox"
  "$venv/bin/ecr-refresh" dag install --dags-folder "$work/dags"
  CGO_ENABLED=0 go build -o "$work/sandbox" ./cmd/ecr-sandbox # which adds its folder to PATH, and bin has ecr-refresh
  "$work/sandbox/ecr-sandbox" -- env PATH=/usr/bin:/bin AIRFLOW_HOME="$work/airflow" \
    AIRFLOW__CORE__DAGS_FOLDER="$work/dags" AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW_VAR_ECR_AWS_ACCOUNT=123456789012 AIRFLOW_VAR_ECR_AWS_REGION_NAME=us-east-1 \
    sh -c '"$0" -m airflow db migrate && exec "$0" -m airflow tasks test refresh_docker_token_v4 extract_ecr_token' \
    "$venv/bin/python" >"$work/airflow.log" 2>&1 && # its exit code is 0 when the task fails, too
    grep -q 'ecr-refresh: .* accepts the token' "$work/airflow.log" || { tail -n 50 "$work/airflow.log"; die "the task fails"; }
}

daemon=
stop() { [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon" || true; }; }

main
