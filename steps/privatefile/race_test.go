package privatefile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"ecr-refresh/steps/privatefile"
)

// Somebody replaces the file while it is read and written, by a link to another file, a pipe, or nothing: Read never
// returns the other file's text and never waits, and Write never writes into the other file.
func TestReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	const own, other = "own", "of somebody else"
	dir := t.TempDir()
	path, elsewhere := filepath.Join(dir, "result"), filepath.Join(dir, "elsewhere")
	if err := os.WriteFile(elsewhere, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		put := []func(string) error{
			func(at string) error { return os.Symlink(elsewhere, at) },
			func(at string) error { return syscall.Mkfifo(at, 0o600) },
			func(at string) error { return os.WriteFile(at, []byte(own), 0o600) },
		}
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				draft := path + ".draft"
				if put[i%len(put)](draft) != nil || os.Rename(draft, path) != nil {
					_ = os.Remove(draft)
				}
			}
		}
	}()
	read := 0
	for i := range 3000 {
		text, err := privatefile.Read(path, 100)
		if err == nil && string(text) != own {
			t.Fatalf("Read returned %q", text)
		}
		if err == nil {
			read++
		}
		if i%20 == 0 { // it syncs
			if err := privatefile.Write(path, []byte(own)); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(done)
	<-stopped
	if text, err := os.ReadFile(elsewhere); string(text) != other || err != nil || read == 0 {
		t.Errorf("the other file holds %q, %v; own text was read %d times", text, err, read)
	}
}
