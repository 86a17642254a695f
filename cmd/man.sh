#!/usr/bin/env bash
# man.sh PROGRAM prints the manual page as roff: what --help prints, of the program and of each command. urfave/cli's own
# generator leaves out the descriptions.
set -euo pipefail

# roff keeps roff from reading text as a command, and from making its signs typographic.
roff() { sed 's/\\/\\e/g; s/^\./\\\&./; s/-/\\-/g; s/'\''/\\(aq/g; s/`/\\(ga/g; s/\^/\\(ha/g; s/~/\\(ti/g; s/…/.../g'; }

# text_of TITLES PROGRAM [COMMAND...] prints what --help prints, without the parts of these titles.
text_of() { "${@:2}" --help | sed -E "/^($1):/,/^\$/d" | roff; }

commands() { # PROGRAM [COMMAND...]
  for name in $("$@" --help | sed -nE '/^COMMANDS:/,/OPTIONS:/s/^ +([a-z-]+)  .*/\1/p'); do
    printf '.SS %s\n.nf\n' "$(roff <<<"ecr-refresh ${*:2} $name" | tr -s ' ')"
    text_of CATEGORY "$@" "$name"
    echo .fi
    commands "$@" "$name"
  done
}

version="$("$1" --version | cut -d ' ' -f 3 | roff)"
printf '.TH ECR-REFRESH 1 "" "ecr-refresh %s"\n.SH NAME\n' "$version"
"$1" --help | sed -n 2p | sed 's/^ *//' | roff
text_of 'NAME|VERSION' "$1" | sed -E 's/^USAGE:/SYNOPSIS:/; s/^(GLOBAL )?([A-Z]+):$/.fi\
.SH \2\
.nf/'
printf '.fi\n.SH EACH COMMAND\n'
commands "$1"
