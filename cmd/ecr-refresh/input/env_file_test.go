package input

import (
	"maps"
	"testing"
)

func TestParseEnv(t *testing.T) {
	t.Parallel()
	const text = "# accounts\r\n\n" +
		"A=plain text # and this\r\n" +
		"  B='quo ted ' \n" +
		`C="$HOME \n 'x'"` + "\n" +
		"D=\nE==a=b$A`id`\n_f1='\"'\nG=it's"
	got, err := parseEnv(text)
	want := map[string]string{"A": "plain text # and this", "B": "quo ted ", "C": `$HOME \n 'x'`, "D": "",
		"E": "=a=b$A`id`", "_f1": `"`, "G": "it's"}
	if err == nil && maps.Equal(got, want) {
		return
	}
	t.Errorf("%q, %v", got, err)
}

// What is malformed is an error that names the line, and has no word of it.
func TestParseEnvRejects(t *testing.T) {
	t.Parallel()
	const notOne = "line 2 is not KEY=value, or has a quote that does not end"
	for line, want := range map[string]string{
		"s3cret":              notOne,
		"export KEY=s3cret":   notOne,
		"KEY s3cret=1":        notOne,
		"1KEY=s3cret":         notOne,
		"KEY = s3cret":        notOne,
		"=s3cret":             notOne,
		"KEY: s3cret":         notOne,
		`KEY="s3cret`:         notOne,
		`KEY='`:               notOne,
		`KEY='s3cret' # note`: notOne,
	} {
		if _, err := parseEnv("FIRST=1\n" + line + "\n"); err == nil || err.Error() != want {
			t.Errorf("%q: %v", line, err)
		}
	}
}
