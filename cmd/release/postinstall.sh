#!/bin/sh
# systemd reads the units that were installed or replaced.
if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
