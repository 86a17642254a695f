# Sourced by install.sh, install-chromium.sh and purge.sh: Debian's packages. No service of theirs starts, neither now
# nor at boot: the tests start their own. $cache/packages lists the packages that were not there before.

cache="${XDG_CACHE_HOME:-$HOME/.cache}/ecr-refresh"
policy="${policy:-/usr/sbin/policy-rc.d}" # asked before a package starts its service

# install_packages LOG PACKAGE... installs packages (as root), under the lock of $cache/install.lock.
install_packages() {
  local log="$cache/$1" before new failed=
  shift
  [ "$(id -u)" -eq 0 ] || die "missing $*: run as root, or: sudo apt-get install $*"
  have apt-get || die "missing $*, and this machine has no apt-get: install them by hand"
  say "installing $*"
  before="$(present_packages)"
  keep_services_down
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@" \
    >"$log" 2>&1 || failed=yes
  new="$(comm -13 <(printf '%s\n' "$before") <(present_packages))"
  if [ -n "$new" ]; then
    printf '%s\n' "$new" >>"$cache/packages"
    disable_services $new
  fi
  [ -z "$failed" ] || { tail -n 20 "$log" >&2; die "apt-get install failed"; }
}

present_packages() { dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^ii *//p' | sort -u; }

# keep_services_down lets no package start a service now.
keep_services_down() {
  [ -e "$policy" ] && return
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

# disable_services PACKAGE... lets no service of these packages start at boot: Debian's enable themselves.
disable_services() {
  local units
  units="$(dpkg -L "$@" | sed -nE 's,^(/usr)?/lib/systemd/system/([^/]+[^@]\.(service|socket|timer))$,\2,p' | sort -u)"
  [ -z "$units" ] || ! have systemctl || systemctl --quiet disable $units 2>/dev/null ||
    say "could not disable all of" $units
  dpkg -L "$@" | sed -n 's,^/etc/init\.d/,,p' | sort -u | while read -r script; do
    ! have update-rc.d || update-rc.d "$script" disable 2>/dev/null || say "could not disable $script"
  done
}

have() { command -v "$1" >/dev/null 2>&1; }
say() { echo "peers: $*" >&2; }
die() { say "$*"; exit 1; }
