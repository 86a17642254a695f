package dags

import (
	"errors"
	"strings"
	"testing"
)

// FuzzUpgrade: whatever was made of an installed file, nothing panics, and what is written has all settings of this
// version, or there is an error.
func FuzzUpgrade(f *testing.F) {
	signed := Sign(RefreshDockerToken, "v0")
	f.Add("\n", "\n")
	f.Add("SCHEDULE = \"", "SCHEDULE = \"@daily\" # '''")
	f.Add(`TAGS = ["airflow"`, `TAGS = [("a", 'b'`)
	f.Fuzz(func(t *testing.T, from, to string) {
		text, _, err := Upgrade(RefreshDockerToken, strings.Replace(signed, from, to, 1), nil)
		if err != nil && !errors.Is(err, ErrEdited) {
			return
		}
		for _, own := range constants(RefreshDockerToken) {
			if !strings.Contains("\n"+text, "\n"+own[1]) {
				t.Errorf("%q in place of %q: %s is gone", to, from, own[1])
			}
		}
	})
}
