package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// archive describes what is written: an image index in the OCI's layout, with the manifest.json of `docker save`, which
// is what Docker reads before 25, and after it without containerd's image store.
type archive struct {
	tag       name.Tag
	labels    map[string]string
	date      time.Time
	images    []v1.Image
	platforms []v1.Platform
}

// index returns the layout's index.json, which has one entry: containerd and Podman take its name from the first
// annotation, others from the one that the OCI specifies.
func (a archive) index() v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, image := range a.images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &a.platforms[i]},
		})
	}
	index = mutate.Annotations(index, a.labels).(v1.ImageIndex)
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: index, Descriptor: v1.Descriptor{Annotations: map[string]string{
			"io.containerd.image.name":          a.tag.Name(),
			"org.opencontainers.image.ref.name": a.tag.String(),
		}},
	})
}

// names returns the image's name in manifest.json for each platform. A name has one platform there: with several, each
// name ends with its own.
func (a archive) names() (names []string) {
	for _, p := range a.platforms {
		name := a.tag.String()
		if len(a.platforms) > 1 {
			name += "-" + p.Architecture
		}
		names = append(names, name)
	}
	return names
}

func (a archive) manifest() ([]byte, error) {
	var manifest tarball.Manifest
	path := func(h v1.Hash) string { return "blobs/" + strings.Replace(h.String(), ":", "/", 1) }
	for i, image := range a.images {
		m, err := image.Manifest()
		if err != nil {
			return nil, err
		}
		entry := tarball.Descriptor{Config: path(m.Config.Digest), RepoTags: a.names()[i : i+1]}
		for _, layer := range m.Layers {
			entry.Layers = append(entry.Layers, path(layer.Digest))
		}
		manifest = append(manifest, entry)
	}
	return json.Marshal(manifest)
}

// write writes the archive to a temporary file and renames it, so that path is never incomplete.
func (a archive) write(path string) (err error) {
	folder, err := os.MkdirTemp("", "ecr-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if _, err := layout.Write(folder, a.index()); err != nil {
		return err
	}
	manifest, err := a.manifest()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "manifest.json"), manifest, 0o600); err != nil {
		return err
	}
	part := path + ".part"
	if err := a.pack(folder, part); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, path)
}

// pack writes a folder's files to a tar archive, owned by root, in one order and with one date.
func (a archive) pack(folder, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := tar.NewWriter(file)
	for _, form := range []string{"oci-layout", "index.json", "manifest.json", "blobs/*/*"} {
		found, err := filepath.Glob(filepath.Join(folder, form)) // sorted
		if err != nil {
			return err
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			entry := strings.TrimPrefix(path, folder+"/")
			if err := add(w, a.date, tar.Header{Name: entry, Mode: 0o644}, text); err != nil {
				return err
			}
		}
	}
	return errors.Join(w.Close(), file.Close())
}
