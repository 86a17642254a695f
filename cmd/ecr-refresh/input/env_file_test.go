package input

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
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
		"FIRST=s3cret":        "line 2 sets FIRST a second time",
	} {
		if _, err := parseEnv("FIRST=1\n" + line + "\n"); err == nil || err.Error() != want {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// ours is each name of ours that this package or package names has, and no other.
func TestOurNames(t *testing.T) {
	t.Parallel()
	var text string
	for _, path := range []string{"../names/names.go", "settings.go"} {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text += string(file)
	}
	var found []string
	for _, match := range regexp.MustCompile(`"ECR_REFRESH_([A-Z_]+[A-Z])"`).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	for _, prefixed := range []string{"ADMIN_LOGIN ADMIN_PASSWORD ADMIN_TOKEN",
		"AIRFLOW_CONN_TYPE AIRFLOW_SCHEMA AIRFLOW_HOST AIRFLOW_PORT AIRFLOW_LOGIN AIRFLOW_PASSWORD AIRFLOW_TOKEN",
		"DOCKER_HOST DOCKER_PORT DOCKER_LOGIN DOCKER_PASSWORD BIN"} {
		found = append(found, strings.Fields(prefixed)...)
	}
	found = slices.DeleteFunc(found, func(name string) bool { return name == "ENV_FILE" })
	slices.Sort(found)
	if want := strings.Fields(ours); !slices.Equal(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
}
