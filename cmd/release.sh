#!/usr/bin/env bash
# What `make release` runs: bin/release with an archive, a wheel and packages for each platform, an image for Linux's, SBOM
# and checksums. SOURCE_URL, if it is set, goes into the metadata of these.
# No owner, one date, one order: the same commit gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C GOFLAGS=-tags=urfave_cli_no_docs
epoch="$(git log -1 --format=%ct)"
version="$(bin/ecr-refresh --version | cut -d ' ' -f 3)"
export SOURCE_DATE_EPOCH="$epoch" SOURCE_URL="${SOURCE_URL:-}"
release=bin/release beside=bin/beside
rm -rf "$release" "$beside" && mkdir -p "$release" "$beside/completions"

# The licence and notice of each module that is in the binary, and of each folder of one that has its own.
licences() {
  for os in linux darwin; do
    GOOS=$os go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}} {{$.Dir}}{{end}}{{end}}' ./cmd/ecr-refresh
  done | sort -u | while read -r module version root folder; do
    ls "$root"/LICEN[SC]E* >/dev/null # or there is none, and that must be looked at
    while :; do
      find "$folder" -maxdepth 1 -type f \( -name 'LICEN[SC]E*' -o -name 'NOTICE*' \) -printf "$module $version %p\n"
      [ "$folder" != "$root" ] || break
      folder="$(dirname "$folder")"
    done
  done | sort -u | while read -r module version path; do
    printf '\n==== %s %s: %s\n\n' "$module" "$version" "${path##*"@$version/"}" && cat "$path"
  done
  printf '\n==== Go: LICENSE\n\n' && cat "$(go env GOROOT)/LICENSE"
}

cp LICENSE README.md bin/ecr-refresh.1 "$beside"
licences >"$beside/THIRD_PARTY_LICENSES"
gzip -9nk "$beside/ecr-refresh.1"
bin/ecr-refresh completion bash >"$beside/completions/ecr-refresh.bash"
bin/ecr-refresh completion zsh >"$beside/completions/_ecr-refresh"
bin/ecr-refresh completion fish >"$beside/completions/ecr-refresh.fish"

CGO_ENABLED=0 go run -trimpath github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0 \
  app -json -noserial -licenses -assert-licenses -std -main cmd/ecr-refresh 2>bin/sbom.log |
  sed '/^    "timestamp":/d' >"$release/ecr-refresh.cdx.json" || { cat bin/sbom.log >&2; exit 1; }

for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
  os="${platform%/*}" arch="${platform#*/}" dir="bin/$platform"
  GOOS=$os GOARCH=$arch make --no-print-directory build BIN="$dir"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw --mtime="@$epoch" \
    -C "$dir" -c ecr-refresh -C "$PWD/$beside" LICENSE README.md THIRD_PARTY_LICENSES completions ecr-refresh.1 | gzip -9n >"$release/ecr-refresh-$os-$arch.tar.gz"
  go run ./cmd/ecr-wheel --binary "$dir/ecr-refresh" --version "$version" --licence "$beside/LICENSE" \
    --licence "$beside/THIRD_PARTY_LICENSES" --sbom "$release/ecr-refresh.cdx.json" --output "$release" >/dev/null
done

go run ./cmd/ecr-image --binary bin/linux/amd64/ecr-refresh --binary bin/linux/arm64/ecr-refresh \
  --version "$version" --tag "ecr-refresh:$version" --output "$release/ecr-refresh-image.tar" >/dev/null

# Newer releases of nfpm cannot be built from the module proxy.
for arch in amd64 arm64; do
  for packager in deb rpm; do
    ARCH=$arch VERSION=$version go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0 \
      package --config cmd/release/nfpm.yaml --packager $packager --target "$release" >bin/nfpm.log || { cat bin/nfpm.log >&2; exit 1; }
  done
done

cd "$release"
sha256sum -- * >SHA256SUMS
cat SHA256SUMS
