package metrics

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scraped reads a metrics file as Prometheus's own tools do: by metric and the values of its labels.
func scraped(t *testing.T, path string) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	all := map[string]float64{}
	for name, family := range families {
		if family.GetType().String() != "GAUGE" || family.GetHelp() == "" {
			t.Errorf("%s has no type or no help", name)
		}
		for _, m := range family.GetMetric() {
			key := strings.TrimPrefix(name, "ecr_refresh_")
			for _, l := range m.GetLabel() {
				key += " " + l.GetName() + "=" + l.GetValue()
			}
			all[key] = m.GetGauge().GetValue()
		}
	}
	return all
}

func TestWrite(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	last, expiry := float64(ended.Unix()), float64(ended.Add(12*time.Hour).Unix())
	for _, row := range []struct {
		name, step, dag, result, file string
		want                          map[string]float64
	}{
		{"step 1", "extract_ecr_token", "a/../b",
			`{"tokens":[{"connections":["a","b"],"expires_at":"2026-11-24T18:00:00Z"}],"failures":[]}`,
			"extract_ecr_token-a_.._b.prom", map[string]float64{
				"token_expiry_timestamp_seconds step=extract_ecr_token dag=a/../b connection=a": expiry,
				"token_expiry_timestamp_seconds step=extract_ecr_token dag=a/../b connection=b": expiry,
				"last_success_timestamp_seconds step=extract_ecr_token dag=a/../b":              last,
				"duration_seconds step=extract_ecr_token dag=a/../b":                            0.25,
				"failed_connections step=extract_ecr_token dag=a/../b":                          0,
			}},
		{"step 2, with a failure and by hand", "update_docker_connection", "",
			`{"connections":[{"connection_id":"a","expires_at":"2026-11-24T18:00:00Z"}],"failures":[{}]}`,
			"update_docker_connection-manual.prom", map[string]float64{
				"token_expiry_timestamp_seconds step=update_docker_connection connection=a": expiry,
				"last_success_timestamp_seconds step=update_docker_connection":              last,
				"duration_seconds step=update_docker_connection":                            0.25,
				"failed_connections step=update_docker_connection":                          1,
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			folder, began := t.TempDir(), ended.Add(-250*time.Millisecond)
			run := Run{Step: row.step, DAG: row.dag, Began: began, Ended: ended, Result: []byte(row.result)}
			path := filepath.Join(folder, row.file)
			if err := os.WriteFile(path, []byte("what was there"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run.Write(filepath.Join(folder, "{step}-{dag}.prom")); err != nil {
				t.Fatal(err)
			}
			if got := scraped(t, path); !maps.Equal(got, row.want) {
				t.Errorf("got  %v\nwant %v", got, row.want)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
				t.Errorf("%v, mode %v: node_exporter is another user", err, info.Mode())
			}
		})
	}
}
