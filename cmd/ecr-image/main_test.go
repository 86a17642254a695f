package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// program returns the path of a static program for Linux.
func program(t *testing.T, arch string) string {
	t.Helper()
	source, binary := filepath.Join(t.TempDir(), "main.go"), filepath.Join(t.TempDir(), "program")
	noError(os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600))
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, source)
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch), os.Stderr
	noError(build.Run())
	return binary
}

// The archive has the binary and certificates, and no date but SOURCE_DATE_EPOCH.
func TestImage(t *testing.T) {
	dir, binary := t.TempDir(), program(t, runtime.GOARCH)
	pack := func(name, epoch string) []byte {
		t.Setenv("SOURCE_DATE_EPOCH", epoch)
		archive := filepath.Join(dir, name)
		noError(run([]string{"ecr-image", "--binary", binary, "--output", archive,
			"--version", "1.2.3", "--source", "https://example.com/ecr-refresh"}, io.Discard))
		return must(os.ReadFile(archive))
	}
	first := pack("first", "1700000000")
	if !bytes.Equal(first, pack("second", "1700000000")) || bytes.Equal(first, pack("third", "1700000001")) {
		t.Error("two archives of one binary differ, or SOURCE_DATE_EPOCH has no effect")
	}
	image := must(tarball.ImageFromPath(filepath.Join(dir, "first"), nil))
	config := must(image.ConfigFile())
	c := config.Config
	got := fmt.Sprintln(config.OS, config.Architecture, c.User, c.Entrypoint, config.Created.Unix())
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		got += fmt.Sprintf("%s=%s\n", name, c.Labels[name])
	}
	entries, files := extracted(image)
	want := "linux " + runtime.GOARCH + ` 65532:65532 [/usr/bin/ecr-refresh] 1700000000
org.opencontainers.image.created=2023-11-14T22:13:20Z
org.opencontainers.image.description=Refreshes Airflow's Docker connections to Amazon ECR
org.opencontainers.image.licenses=Apache-2.0
org.opencontainers.image.source=https://example.com/ecr-refresh
org.opencontainers.image.title=ecr-refresh
org.opencontainers.image.version=1.2.3
etc 755 0:0 1700000000
etc/ssl 755 0:0 1700000000
etc/ssl/certs 755 0:0 1700000000
usr 755 0:0 1700000000
usr/bin 755 0:0 1700000000
etc/ssl/certs/ca-certificates.crt 644 0:0 1700000000
usr/bin/ecr-refresh 755 0:0 1700000000
`
	if got += entries; got != want {
		t.Errorf("the image is\n%s\nwant\n%s", got, want)
	}
	if !bytes.Equal(files[binaryPath], must(os.ReadFile(binary))) {
		t.Error("the binary in the image is not the one given")
	}
	roots := files[certificatePath]
	if !x509.NewCertPool().AppendCertsFromPEM(roots) || bytes.Count(roots, []byte("BEGIN")) < 100 {
		t.Error("the image has no valid certificates, or fewer than 100")
	}
}

// Several binaries make one index, with the annotations of its images, whose name has all platforms. Docker's own image
// store has a name for each.
func TestIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "image.tar")
	noError(run([]string{"ecr-image", "--binary", program(t, "amd64"), "--binary", program(t, "arm64"),
		"--output", path, "--tag", "ecr-refresh:1.2.3", "--version", "1.2.3"}, io.Discard))
	noError(exec.CommandContext(t.Context(), "tar", "-C", dir, "-xf", path).Run())
	top := must(must(layout.ImageIndexFromPath(dir)).IndexManifest()).Manifests
	if len(top) != 1 || top[0].Annotations["org.opencontainers.image.ref.name"] != "ecr-refresh:1.2.3" {
		t.Fatalf("the layout has %+v", top)
	}
	index := must(must(must(layout.ImageIndexFromPath(dir)).ImageIndex(top[0].Digest)).IndexManifest())
	got := index.Annotations["org.opencontainers.image.version"]
	for i, m := range index.Manifests {
		image := must(tarball.ImageFromPath(path, new(must(name.NewTag("ecr-refresh:1.2.3-"+m.Platform.Architecture)))))
		got += fmt.Sprintln("", i, m.Platform, must(image.ConfigFile()).Architecture)
	}
	if want := "1.2.3 0 linux/amd64 amd64\n 1 linux/arm64 arm64\n"; got != want {
		t.Errorf("the index has\n%s\nwant\n%s", got, want)
	}
}

// extracted returns the entries of the image, a line for each, and what they hold.
func extracted(image v1.Image) (lines string, files map[string][]byte) {
	files = map[string][]byte{}
	r := mutate.Extract(image)
	defer r.Close()
	archive := tar.NewReader(r)
	for h, err := archive.Next(); err != io.EOF; h, err = archive.Next() {
		noError(err)
		lines += fmt.Sprintf("%s %o %d:%d %d\n", h.Name, h.Mode, h.Uid, h.Gid, h.ModTime.Unix())
		files[h.Name] = must(io.ReadAll(archive))
	}
	return lines, files
}

func noError(err error) { must(0, err) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestFaults(t *testing.T) {
	t.Parallel()
	output := filepath.Join(t.TempDir(), "image.tar")
	notGo := filepath.Join(t.TempDir(), "script")
	noError(os.WriteFile(notGo, []byte("#!/bin/sh\n"), 0o700))
	for name, args := range map[string][]string{
		"no such binary":   {"--binary", "/nonexistent"},
		"not a Go program": {"--binary", notGo},
		"not a date":       {"--time", "yesterday"},
		"an argument":      {"archive.tar"},
	} {
		err := run(slices.Concat([]string{"ecr-image", "--output", output}, args), io.Discard)
		if left, _ := filepath.Glob(output + "*"); err == nil || left != nil {
			t.Errorf("%s: no error, or %v remains", name, left)
		}
	}
}
