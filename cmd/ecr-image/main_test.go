package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestImage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := program(t, dir)
	archive := filepath.Join(dir, "image.tar")
	args := []string{"ecr-image", "--binary", binary, "--output", archive, "--tag", "ecr-refresh:1"}
	if err := run(args, io.Discard); err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkConfig(t, image)
	files := extracted(t, image)
	want, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(files[binaryPath], want) {
		t.Error("the binary in the image is not the one given")
	}
	if names := slices.Sorted(maps.Keys(files)); !slices.Equal(names, []string{certificatePath, binaryPath}) {
		t.Errorf("the image contains %v", names)
	}
	roots := files[certificatePath]
	if !x509.NewCertPool().AppendCertsFromPEM(roots) || bytes.Count(roots, []byte("BEGIN")) < 100 {
		t.Error("the image has no valid certificates, or fewer than 100")
	}
}

// program builds a small static program.
func program(t *testing.T, dir string) string {
	t.Helper()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func checkConfig(t *testing.T, image v1.Image) {
	t.Helper()
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.OS != "linux" || file.Architecture != runtime.GOARCH {
		t.Errorf("the image is for %s/%s", file.OS, file.Architecture)
	}
	if c := file.Config; c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/usr/bin/ecr-refresh"}) {
		t.Errorf("the image runs %v as user %s", c.Entrypoint, c.User)
	}
	if title := file.Config.Labels["org.opencontainers.image.title"]; title != "ecr-refresh" {
		t.Errorf("the image's title is %q", title)
	}
	if file.Created.Unix() != 0 {
		t.Errorf("the image's date is %s", file.Created)
	}
}

// extracted returns the files of the image. It fails the test unless all entries belong to root, and only root may
// write to them.
func extracted(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	r := mutate.Extract(image)
	defer r.Close()
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || header.Mode&0o22 != 0 || header.ModTime.Unix() != 0 {
			t.Errorf("%s has owner %d:%d, mode %o, date %s", header.Name, header.Uid, header.Gid, header.Mode,
				header.ModTime)
		}
		if header.Typeflag == tar.TypeReg {
			files[header.Name], _ = io.ReadAll(archive)
		}
	}
}

// The date of the build does not get into the archive.
func TestSameBytes(t *testing.T) {
	dir := t.TempDir()
	binary := program(t, dir)
	pack := func(name, epoch string) []byte {
		t.Helper()
		t.Setenv("SOURCE_DATE_EPOCH", epoch)
		archive := filepath.Join(dir, name)
		if err := run([]string{"ecr-image", "--binary", binary, "--output", archive}, io.Discard); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := pack("first", "1700000000")
	if !bytes.Equal(first, pack("second", "1700000000")) {
		t.Error("two archives of one binary differ")
	}
	if bytes.Equal(first, pack("third", "1700000001")) {
		t.Error("SOURCE_DATE_EPOCH has no effect")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	output := filepath.Join(t.TempDir(), "image.tar")
	notGo := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(notGo, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no such binary":   {"--binary", "/nonexistent"},
		"not a Go program": {"--binary", notGo},
		"not a date":       {"--time", "yesterday"},
		"an argument":      {"archive.tar"},
	} {
		if err := run(append([]string{"ecr-image", "--output", output}, args...), io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left, _ := filepath.Glob(output + "*"); left != nil {
			t.Errorf("%s: %v remains", name, left)
		}
	}
}
