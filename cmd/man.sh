#!/usr/bin/env bash
# man.sh PROGRAM prints the manual page as roff: what --help prints, of the program and of each command. urfave/cli's own
# generator leaves out the descriptions.
set -euo pipefail

# roff keeps roff from reading text as a command, and from making its signs typographic.
roff() { sed 's/\\/\\e/g; s/^\./\\\&./; s/-/\\-/g; s/'\''/\\(aq/g; s/`/\\(ga/g; s/\^/\\(ha/g; s/~/\\(ti/g; s/…/.../g'; }

section() { # TITLE PROGRAM [COMMAND...]
  printf '%s\n.nf\n' "$1"
  "${@:2}" --help | roff
  echo .fi
}

commands() { # PROGRAM [COMMAND...]
  for name in $("$@" --help | sed -nE '/^COMMANDS:/,/OPTIONS:/s/^ +([a-z-]+)  .*/\1/p'); do
    section ".SS $(roff <<<"ecr-refresh ${*:2} $name" | tr -s ' ')" "$@" "$name"
    commands "$@" "$name"
  done
}

version="$("$1" --version | cut -d ' ' -f 3 | roff)"
printf '.TH ECR-REFRESH 1 "" "ecr-refresh %s"\n.SH NAME\n' "$version"
"$1" --help | sed -n 2p | sed 's/^ *//' | roff
section '.SH DESCRIPTION' "$1"
echo '.SH COMMANDS'
commands "$1"
