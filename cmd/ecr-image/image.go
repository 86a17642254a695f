package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Paths in the image. Go looks for certificates at this one first on Linux.
const (
	binaryPath      = "usr/bin/ecr-refresh"
	certificatePath = "etc/ssl/certs/ca-certificates.crt"
	user            = "65532:65532" // without privileges; the image has no /etc/passwd
)

// content describes an image.
type content struct {
	binary   []byte
	platform v1.Platform
	labels   map[string]string
	date     time.Time
}

// labels returns what the image says of itself, in the OCI's names; what is not known is left out.
func labels(version, revision, source string, date time.Time) map[string]string {
	all := map[string]string{}
	for name, value := range map[string]string{
		"title":       "ecr-refresh",
		"description": "Refreshes Airflow's Docker connections to Amazon ECR",
		"licenses":    "Apache-2.0",
		"version":     version,
		"revision":    revision,
		"source":      source,
		"created":     date.Format(time.RFC3339),
	} {
		if value != "" {
			all["org.opencontainers.image."+name] = value
		}
	}
	return all
}

func build(c content) (v1.Image, error) {
	layer, err := c.layer()
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: c.date}, CreatedBy: "ecr-image"},
	})
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Created = v1.Time{Time: c.date}
	file.OS, file.Architecture = c.platform.OS, c.platform.Architecture
	file.Config = c.config()
	return mutate.ConfigFile(image, file)
}

func (c content) config() v1.Config {
	return v1.Config{
		User:       user,
		Entrypoint: []string{"/" + binaryPath},
		Cmd:        []string{"--help"},
		Env:        []string{"PATH=/usr/bin"},
		WorkingDir: "/",
		Labels:     c.labels,
	}
}

func (c content) layer() (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, folder := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "usr/", "usr/bin/"} {
		if err := add(w, c.date, tar.Header{Name: folder, Typeflag: tar.TypeDir, Mode: 0o755}, nil); err != nil {
			return nil, err
		}
	}
	if err := add(w, c.date, tar.Header{Name: certificatePath, Mode: 0o644}, certificates()); err != nil {
		return nil, err
	}
	if err := add(w, c.date, tar.Header{Name: binaryPath, Mode: 0o755}, c.binary); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}, tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
}

// add writes one entry, owned by root.
func add(w *tar.Writer, date time.Time, header tar.Header, text []byte) error {
	header.Size, header.ModTime = int64(len(text)), date
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	_, err := w.Write(text)
	return err
}

// certificates returns the root certificates as PEM, without those that Mozilla trusts with constraints, such as only
// until a date: a PEM file cannot express them.
func certificates() []byte {
	var text []byte
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})...)
		}
	}
	return text
}
