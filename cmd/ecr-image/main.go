// Command ecr-image builds a container image of ecr-refresh, for one platform or more, as an OCI archive that `docker
// load` takes, too. The image contains only the binary and Mozilla's root certificates. Archives of the same binaries,
// tag and SOURCE_DATE_EPOCH are equal byte for byte, on every machine.
package main

import (
	"debug/buildinfo"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
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
			&cli.StringSliceFlag{
				Name: "binary", Value: cli.NewStringSlice("bin/ecr-refresh"),
				Usage: "static binary for Linux; given again, one for another architecture", TakesFile: true,
			},
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
	tag, err := name.NewTag(c.String("tag"))
	if err != nil {
		return err
	}
	a := archive{tag: tag, date: time.Unix(seconds, 0).UTC()}
	for _, path := range c.StringSlice("binary") {
		binary, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		platform, revision, err := inspect(path)
		if err != nil {
			return err
		}
		a.labels = labels(c.String("version"), revision, c.String("source"), a.date)
		image, err := build(content{binary: binary, platform: platform, labels: a.labels, date: a.date})
		if err != nil {
			return err
		}
		a.images, a.platforms = append(a.images, image), append(a.platforms, platform)
	}
	if err := a.write(c.Path("output")); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "docker load --input %s loads %s\n", c.Path("output"), a.names())
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
