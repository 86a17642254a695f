// Command ecr-wheel packs ecr-refresh into a wheel, so that pip and uv install the binary beside Airflow's Python. The
// wheel has no Python code. Wheels of the same files and SOURCE_DATE_EPOCH are equal byte for byte, on every machine.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("ecr-wheel: error: ")
	if err := run(os.Args, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(args []string, stdout io.Writer) error {
	app := &cli.App{
		Name:            "ecr-wheel",
		Usage:           "pack ecr-refresh into a wheel",
		HideHelpCommand: true,
		Writer:          stdout,
		Flags: []cli.Flag{
			&cli.PathFlag{Name: "binary", Required: true, Usage: "static binary for Linux, or one for macOS"},
			&cli.StringFlag{Name: "version", Required: true, Usage: "X.Y.Z, or X.Y.Z-dev"},
			&cli.StringFlag{
				Name: "source", EnvVars: []string{"SOURCE_URL"}, Usage: "`URL` of its source, for the metadata",
			},
			&cli.StringSliceFlag{Name: "licence", Usage: "`FILE` with a licence's text; may be given again"},
			&cli.PathFlag{Name: "sbom", Required: true, Usage: "CycloneDX document, NAME.cdx.json"},
			&cli.PathFlag{Name: "output", Value: "bin", Usage: "folder to write into"},
			&cli.StringFlag{
				Name: "time", Value: "0", EnvVars: []string{"SOURCE_DATE_EPOCH"},
				Usage: "seconds since 1970, for all dates in the wheel",
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
	tags, err := tags(c.Path("binary"))
	if err != nil {
		return err
	}
	version := strings.Replace(c.String("version"), "-dev", ".dev0", 1)
	w := wheel{version: version, tags: tags, source: c.String("source"), date: time.Unix(seconds, 0).UTC()}
	err = w.read(c.Path("binary"), w.folder("data")+"/scripts/ecr-refresh", 0o755)
	for _, path := range c.StringSlice("licence") {
		if err == nil {
			w.licences = append(w.licences, filepath.Base(path))
			err = w.read(path, w.folder("dist-info")+"/licenses/"+filepath.Base(path), 0o644)
		}
	}
	if err == nil {
		err = w.read(c.Path("sbom"), w.folder("dist-info")+"/sboms/"+filepath.Base(c.Path("sbom")), 0o644)
	}
	if err != nil {
		return err
	}
	archive, err := w.archive()
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(c.Path("output"), w.name()))
	if err != nil {
		return err
	}
	_, written := out.Write(archive)
	_, printed := fmt.Fprintln(c.App.Writer, out.Name())
	return errors.Join(written, out.Close(), printed)
}
