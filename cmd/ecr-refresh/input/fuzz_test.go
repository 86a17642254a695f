package input

import (
	"strings"
	"testing"
)

// FuzzParseEnv: a value is what its line has, whatever that is, and no error repeats any of it.
func FuzzParseEnv(f *testing.F) {
	f.Add("A=1\nB='2'\n# C=3\n\nD=\"4\"")
	f.Add("A=\"hunter22hunter22\nB")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseEnv(text)
		if err != nil && strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: %v", text, err)
		}
		for name, value := range values {
			if !strings.Contains(text, name) || !strings.Contains(text, value) || strings.Contains(value, "\n") {
				t.Errorf("%q: %s is %q", text, name, value)
			}
		}
	})
}
