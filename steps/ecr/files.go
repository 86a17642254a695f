package ecr

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/config"
)

// files are AWS's two files, as botocore reads them.
type files struct {
	unread error // why nothing of one of them is used: the SDK does not report it
	pipes  []*os.File
}

// option, of config.LoadDefaultConfig, names the files to read.
func (f *files) option(o *config.LoadOptions) error {
	env, _ := config.NewEnvConfig() // its error is LoadDefaultConfig's, too
	o.SharedConfigFiles = []string{f.name(cmp.Or(env.SharedConfigFile, config.DefaultSharedConfigFilename()))}
	credentials := cmp.Or(env.SharedCredentialsFile, config.DefaultSharedCredentialsFilename())
	o.SharedCredentialsFiles = []string{f.name(credentials)}
	return nil
}

// name returns path, or a pipe with what it holds: retry_mode legacy, which the SDK does not know, is standard there.
func (f *files) name(path string) string {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return path // it may be such that it can be read once
	}
	text, err := os.ReadFile(path) // #nosec G304 -- AWS's own setting
	legacy := regexp.MustCompile(`(?m)^(\s*retry_mode\s*=\s*)legacy\s*$`)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		f.unread = err
	case bytes.HasPrefix(text, []byte("\ufeff")):
		f.unread = fmt.Errorf("%s begins with a byte order mark (BOM)", path)
	case legacy.Match(text):
		if out, in, err := os.Pipe(); err == nil {
			f.pipes = append(f.pipes, out)
			go func() {
				_, _ = in.Write(legacy.ReplaceAll(text, []byte("${1}standard")))
				_ = in.Close()
			}()
			return fmt.Sprintf("/dev/fd/%d", out.Fd())
		}
	}
	return path
}

func (f *files) close() {
	for _, pipe := range f.pipes {
		_ = pipe.Close()
	}
}
