package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// wheel is what the archive is made of. The format is that of
// https://packaging.python.org/specifications/binary-distribution-format.
type wheel struct {
	version  string // as Python writes it: PEP 440
	tags     []string
	source   string   // a URL, or ""
	licences []string // names of files
	date     time.Time
	files    []file
}

type file struct {
	path string
	mode fs.FileMode
	text []byte
}

// name returns the wheel's file name, with all its tags.
func (w *wheel) name() string {
	platforms := make([]string, len(w.tags))
	for i, tag := range w.tags {
		platforms[i] = strings.TrimPrefix(tag, anyPython)
	}
	return "ecr_refresh-" + w.version + "-" + anyPython + strings.Join(platforms, ".") + ".whl"
}

// folder returns the path of one of the wheel's two folders, data or dist-info.
func (w *wheel) folder(kind string) string { return "ecr_refresh-" + w.version + "." + kind }

func (w *wheel) read(from, path string, mode fs.FileMode) error {
	text, err := os.ReadFile(from)
	w.files = append(w.files, file{path, mode, text})
	return err
}

const description = `Refreshes the passwords of Airflow 3's Docker connections to Amazon ECR.

This package is one static binary, ecr-refresh, which its installation puts beside the environment's Python. It has no
Python code and no dependencies. "ecr-refresh dag install --dags-folder FOLDER" writes the DAG that runs it, and
"ecr-refresh --help" lists the commands.
`

// metadata returns the text of METADATA.
func (w *wheel) metadata() string {
	text := "Metadata-Version: 2.4\nName: ecr-refresh\nVersion: " + w.version +
		"\nSummary: Refreshes the passwords of Airflow's Docker connections to Amazon ECR\n"
	if w.source != "" {
		text += "Project-URL: Source, " + w.source + "\n"
	}
	text += "License-Expression: Apache-2.0\n"
	for _, name := range w.licences {
		text += "License-File: " + name + "\n"
	}
	return text + "Description-Content-Type: text/markdown\n\n" + description
}

// archive returns the wheel's bytes. RECORD, which lists all other files, is the last one.
func (w *wheel) archive() ([]byte, error) {
	info := w.folder("dist-info") + "/"
	form := "Wheel-Version: 1.0\nGenerator: ecr-wheel\nRoot-Is-Purelib: false\n"
	for _, tag := range w.tags {
		form += "Tag: " + tag + "\n"
	}
	files := append(w.files,
		file{info + "METADATA", 0o644, []byte(w.metadata())},
		file{info + "WHEEL", 0o644, []byte(form)})
	var record string
	for _, f := range files {
		sum := sha256.Sum256(f.text)
		record += fmt.Sprintf("%s,sha256=%s,%d\n", f.path, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.text))
	}
	files = append(files, file{info + "RECORD", 0o644, []byte(record + info + "RECORD,,\n")})
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	z.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestCompression)
	})
	for _, f := range files {
		header := &zip.FileHeader{Name: f.path, Method: zip.Deflate, Modified: w.date}
		header.SetMode(f.mode)
		entry, err := z.CreateHeader(header)
		if err == nil {
			_, err = entry.Write(f.text)
		}
		if err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return archive.Bytes(), err
}
