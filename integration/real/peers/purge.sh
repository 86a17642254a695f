#!/usr/bin/env bash
# Removes what install.sh and install-chromium.sh installed: Debian's packages that were not there before (as root), and
# ${XDG_CACHE_HOME:-~/.cache}/ecr-refresh with Airflow, its providers, Keycloak and uv. Packages that something else
# needs by now are kept. The configuration and data of removed packages stay; apt-get purge removes them, too.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

main() {
  [ -d "$cache" ] || { say "nothing to remove: there is no $cache"; return; }
  exec 9>"$cache/install.lock"
  flock -n 9 || die "an installation is under way"
  ! pgrep -f -- "$cache/(airflow|keycloak)-" >/dev/null || die "a process runs from $cache: stop the lab and the tests first"
  debian_packages
  rm -rf "$cache"
  say "removed $cache"
}

debian_packages() {
  local listed=() needed
  touch "$cache/packages" # an installation of before has none
  mapfile -t listed < <(comm -12 <(sort -u "$cache/packages") <(present_packages))
  [ ${#listed[@]} -gt 0 ] || { say "no Debian package is listed in $cache/packages: none is removed"; return; }
  [ "$(id -u)" -eq 0 ] || die "removing ${listed[*]}: run as root"
  needed="$(comm -13 <(printf '%s\n' "${listed[@]}") <(apt-get -s remove "${listed[@]}" | sed -n 's/^Remv \([^ ]*\).*/\1/p' | sort))"
  if [ -n "$needed" ]; then
    say "kept, since" $needed "would go, too:" "${listed[@]}"
    return
  fi
  apt-get -qq remove --yes "${listed[@]}" >/dev/null
  say "removed the Debian packages" "${listed[@]}"
}

main
