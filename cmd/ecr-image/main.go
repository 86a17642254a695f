// Command ecr-image builds a container image of ecr-refresh, as an archive for `docker load`. The image contains only
// the binary and Mozilla's root certificates. Archives of the same binary, tag and SOURCE_DATE_EPOCH are equal byte for
// byte, on every machine.
package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/urfave/cli/v2"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("ecr-image: error: ")
	if err := run(os.Args, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(args []string, stdout io.Writer) error {
	app := &cli.App{
		Name:            "ecr-image",
		Usage:           "build a container image of ecr-refresh, for docker load",
		HideHelpCommand: true,
		Writer:          stdout,
		Flags: []cli.Flag{
			&cli.PathFlag{Name: "binary", Value: "bin/ecr-refresh", Usage: "static binary for Linux"},
			&cli.PathFlag{Name: "output", Value: "bin/ecr-refresh-image.tar", Usage: "archive to write"},
			&cli.StringFlag{Name: "tag", Value: "ecr-refresh:latest", Usage: "name of the image"},
			&cli.StringFlag{Name: "version", Usage: "version of ecr-refresh, for the labels"},
			&cli.StringFlag{
				Name: "source", EnvVars: []string{"SOURCE_URL"}, Usage: "`URL` of its source, for the labels",
			},
			&cli.StringFlag{
				Name: "time", Value: "0", EnvVars: []string{"SOURCE_DATE_EPOCH"},
				Usage: "seconds since 1970, for all dates in the image",
			},
		},
		Action: pack,
	}
	return app.Run(args)
}

func pack(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("unexpected argument %q", c.Args().First())
	}
	seconds, err := strconv.ParseInt(c.String("time"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", c.String("time"))
	}
	platform, revision, err := inspect(c.Path("binary"))
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(c.Path("binary"))
	if err != nil {
		return err
	}
	date := time.Unix(seconds, 0).UTC()
	labels := labels(c.String("version"), revision, c.String("source"), date)
	image, err := build(content{binary: binary, platform: platform, labels: labels, date: date})
	if err != nil {
		return err
	}
	if err := write(c.Path("output"), c.String("tag"), image); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "docker load --input %s loads %s\n", c.Path("output"), c.String("tag"))
	return err
}

// inspect returns what the Go command recorded in the binary: its platform and its commit, or "" where git was not
// there. It rejects one with cgo: the image has no C library.
func inspect(path string) (platform v1.Platform, revision string, err error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return platform, "", err
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["GOOS"] != "linux" || settings["CGO_ENABLED"] != "0" {
		return platform, "", fmt.Errorf("%s was built for %s with CGO_ENABLED=%s: the image needs linux and 0", path,
			settings["GOOS"], settings["CGO_ENABLED"])
	}
	return v1.Platform{OS: "linux", Architecture: settings["GOARCH"]}, settings["vcs.revision"], nil
}

// write writes the archive to a temporary file and renames it, so that path is never incomplete.
func write(path, tag string, image v1.Image) error {
	ref, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := tarball.WriteToFile(part, ref, image); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, path)
}
