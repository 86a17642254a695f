#!/bin/sh
# Stops the timer when the package is removed ("remove" of dpkg, 0 of rpm), not when it is upgraded.
case "$1" in remove | 0) ;; *) exit 0 ;; esac
if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
  systemctl --quiet disable --now ecr-refresh.timer
fi
