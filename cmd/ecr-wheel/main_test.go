package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// built returns the path of a program for a platform.
func built(t *testing.T, platform string) string {
	t.Helper()
	goos, arch, _ := strings.Cut(platform, "/")
	source, binary := filepath.Join(t.TempDir(), "main.go"), filepath.Join(t.TempDir(), "program")
	noError(os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600))
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, source)
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+arch), os.Stderr
	noError(build.Run())
	return binary
}

// packed returns the path of a wheel.
func packed(t *testing.T, version, binary, epoch string) string {
	t.Helper()
	dir := t.TempDir()
	licence, sbom := filepath.Join(dir, "LICENSE"), filepath.Join(dir, "ecr-refresh.cdx.json")
	noError(os.WriteFile(licence, []byte("free\n"), 0o600))
	noError(os.WriteFile(sbom, []byte("{}\n"), 0o600))
	noError(run([]string{"ecr-wheel", "--binary", binary, "--version", version, "--licence", licence, "--sbom", sbom,
		"--output", dir, "--time", epoch, "--source", "https://example.com/ecr-refresh"}, io.Discard))
	return must(filepath.Glob(filepath.Join(dir, "*.whl")))[0]
}

func TestWheel(t *testing.T) {
	t.Parallel()
	binary := built(t, "linux/arm64")
	path := packed(t, "1.2.3", binary, "1700000000")
	const tags = "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64"
	if name := filepath.Base(path); name != "ecr_refresh-1.2.3-py3-none-"+tags+".whl" {
		t.Error(name)
	}
	first := must(os.ReadFile(path))
	if !bytes.Equal(first, must(os.ReadFile(packed(t, "1.2.3", binary, "1700000000")))) ||
		bytes.Equal(first, must(os.ReadFile(packed(t, "1.2.3", binary, "1700000002")))) {
		t.Error("two wheels of one binary differ, or SOURCE_DATE_EPOCH has no effect")
	}
	archive := must(zip.NewReader(bytes.NewReader(first), int64(len(first))))
	var got, record string
	texts := map[string][]byte{}
	for _, f := range archive.File {
		r := must(f.Open())
		text := must(io.ReadAll(r))
		name := strings.TrimPrefix(f.Name, "ecr_refresh-1.2.3.")
		got += fmt.Sprintf("%s %o %d\n", name, f.Mode(), f.Modified.Unix())
		texts[name] = text
		if name == "dist-info/RECORD" {
			record += f.Name + ",,\n"
			continue
		}
		sum := sha256.Sum256(text)
		record += fmt.Sprintf("%s,sha256=%s,%d\n", f.Name, base64.RawURLEncoding.EncodeToString(sum[:]), len(text))
	}
	if want := `data/scripts/ecr-refresh 755 1700000000
dist-info/licenses/LICENSE 644 1700000000
dist-info/sboms/ecr-refresh.cdx.json 644 1700000000
dist-info/METADATA 644 1700000000
dist-info/WHEEL 644 1700000000
dist-info/RECORD 644 1700000000
`; got != want {
		t.Errorf("the wheel has\n%s\nwant\n%s", got, want)
	}
	if !bytes.Equal(texts["data/scripts/ecr-refresh"], must(os.ReadFile(binary))) {
		t.Error("the binary in the wheel is not the one given")
	}
	for name, want := range map[string]string{
		"dist-info/RECORD": record,
		"dist-info/WHEEL": `Wheel-Version: 1.0
Generator: ecr-wheel
Root-Is-Purelib: false
Tag: py3-none-manylinux_2_17_aarch64
Tag: py3-none-manylinux2014_aarch64
Tag: py3-none-musllinux_1_1_aarch64
`,
		"dist-info/METADATA": `Metadata-Version: 2.4
Name: ecr-refresh
Version: 1.2.3
Summary: Refreshes the passwords of Airflow's Docker connections to Amazon ECR
Project-URL: Source, https://example.com/ecr-refresh
License-Expression: Apache-2.0
License-File: LICENSE
Description-Content-Type: text/markdown

` + description,
	} {
		if string(texts[name]) != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, texts[name], want)
		}
	}
}

// Go 1.26 needs macOS 12. A version that is not released yet has Python's form.
func TestMacOS(t *testing.T) {
	t.Parallel()
	for platform, want := range map[string]string{"darwin/amd64": "x86_64", "darwin/arm64": "arm64"} {
		name := filepath.Base(packed(t, "1.2.3-dev", built(t, platform), "0"))
		if name != "ecr_refresh-1.2.3.dev0-py3-none-macosx_12_0_"+want+".whl" {
			t.Error(name)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	output, notGo := t.TempDir(), filepath.Join(t.TempDir(), "script")
	noError(os.WriteFile(notGo, []byte("#!/bin/sh\n"), 0o700))
	linux := built(t, "linux/amd64")
	for name, args := range map[string][]string{
		"no such binary":   {"--binary", "/nonexistent"},
		"not a Go program": {"--binary", notGo},
		"no such licence":  {"--binary", linux, "--licence", "/nonexistent"},
		"no such SBOM":     {"--binary", linux, "--sbom", "/nonexistent"},
		"not a date":       {"--binary", linux, "--time", "yesterday"},
		"an argument":      {"--binary", linux, "file.whl"},
	} {
		given := slices.Concat([]string{"ecr-wheel", "--output", output, "--version", "1.2.3", "--sbom", notGo}, args)
		err := run(given, io.Discard)
		if left, _ := filepath.Glob(output + "/*"); err == nil || left != nil {
			t.Errorf("%s: no error, or %v remains", name, left)
		}
	}
}

func noError(err error) { must(0, err) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
