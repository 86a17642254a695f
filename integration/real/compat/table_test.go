package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	versions := map[string]string{"standard": "1.6.0", "docker": "4.4.2", "fab": "2.4.1", "celery": "3.12.2"}
	rows := rowsOf(map[string]bool{
		"TestReal/deployed":                           true,
		"TestReal/copies/stale_docker_config":         true,
		"TestReal/copies/docker_operator":             true,
		"TestReal/copies/docker,_no_identity":         false,
		"TestRealCelery/each_task_on_another_worker":  true,
		"TestRealCelery/docker_operator/another_part": true,
	}, row{release: "3.0.6", authManager: "fab", versions: versions, day: "2026-11-23"})
	want := `| Airflow | auth manager | operator | executor | providers | result | day |
|---|---|---|---|---|---|---|
| 3.0.6 | fab | BashOperator | Local | standard 1.6.0, fab 2.4.1 | green (2 tests) | 2026-11-23 |
| 3.0.6 | fab | DockerOperator | Local | docker 4.4.2, fab 2.4.1 | **red**: ` +
		`TestReal/copies/docker,_no_identity | 2026-11-23 |
| 3.0.6 | fab | BashOperator | Celery | standard 1.6.0, fab 2.4.1, celery 3.12.2 | green (1 test) | 2026-11-23 |
| 3.0.6 | fab | DockerOperator | Celery | docker 4.4.2, fab 2.4.1, celery 3.12.2 | green (1 test) | 2026-11-23 |
`
	if got := table(rows); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	keycloak := row{authManager: "keycloak", operator: "BashOperator", versions: map[string]string{"standard": "1.21.0",
		"keycloak": "0.11.2"}}
	if got := keycloak.providers(); got != "standard 1.21.0, keycloak 0.11.2" {
		t.Errorf("providers are %s", got)
	}
	if err := red(rows); err == nil || err.Error() != "airflow 3.0.6, fab: TestReal/copies/docker,_no_identity failed" {
		t.Errorf("got %v", err)
	}
}

// A pre-release is in the table, and does not fail it.
func TestOptional(t *testing.T) {
	t.Parallel()
	rows := []row{{release: "3.4.0b2", authManager: "simple", failed: []string{"TestReal/deployed"}}}
	const want = "| 3.4.0b2, optional | simple |"
	if got := table(rows); !strings.Contains(got, want) || !strings.Contains(got, "**red**: TestReal/deployed") {
		t.Errorf("%s", got)
	}
	if err := red(rows); err != nil {
		t.Error(err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	const red = `{"Action":"output","Test":"A/b","Output":"it broke\n"}
{"Action":"fail","Test":"A/b"}
{"Action":"pass","Test":"A/c/d"}
{"Action":"pass","Test":"A/c"}
{"Action":"fail","Test":"A"}
{"Action":"fail"}
`
	const green = `{"Action":"pass","Test":"A"}`
	for lines, want := range map[string]map[string]bool{
		red:         {"A/b": false, "A/c/d": true},
		green:       {"A": true, "the run itself": false},
		"no JSON\n": nil,
	} {
		got, err := read(lines, true)
		if !maps.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "compatibility.md")
	const head = "| Airflow | auth manager | day |\n|---|---|---|\n"
	for _, c := range []struct{ before, want string }{
		{"before\n<!-- compat -->\n" + head +
			"| 3.0.6 | simple | 1 |\n| 3.0.6 | fab | 1 |\n| 3.1.8 | simple | 1 |\n<!-- /compat -->\nafter\n",
			"before\n<!-- compat -->\n" + head +
				"| 3.0.6 | simple | 1 |\n| 3.0.6 | fab | 2 |\n| 3.0.6 | fab | 3 |\n| 3.1.8 | simple | 1 |\n" +
				"| 3.2.2 | simple | 2 |\n| 3.2.2 | fab | 2 |\n<!-- /compat -->\nafter\n"},
		{"no marks\n", "no marks\n"},
	} {
		if err := os.WriteFile(file, []byte(c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		rows := "| 3.2.2 | fab | 2 |\n| 3.2.2 | simple | 2 |\n| 3.0.6 | fab | 2 |\n| 3.0.6 | fab | 3 |\n"
		for range 2 {
			if err := rewrite(file, head+rows); (err != nil) != (c.before == c.want) {
				t.Errorf("got %v", err)
			}
		}
		if got, _ := os.ReadFile(file); string(got) != c.want {
			t.Errorf("got %q", got)
		}
	}
}
