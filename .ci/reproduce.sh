#!/usr/bin/env bash
# Makes the release of this commit twice, in two new clones in different folders, and compares all bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

commit="$(git rev-parse HEAD)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for place in a a/deeper/place; do
  git clone --quiet --no-local . "$work/$place/clone"
  git -C "$work/$place/clone" checkout --quiet --detach "$commit"
  make --no-print-directory -C "$work/$place/clone" release >"$work/log" || { cat "$work/log" >&2; exit 1; }
done
diff -r "$work/a/clone/bin/release" "$work/a/deeper/place/clone/bin/release"
cat "$work/a/clone/bin/release/SHA256SUMS"
