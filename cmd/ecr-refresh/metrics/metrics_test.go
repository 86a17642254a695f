package metrics

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scraped reads a metrics file as Prometheus's own tools do: by metric, by the values of its labels.
func scraped(t *testing.T, path string) map[string]map[string]float64 {
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
	all := map[string]map[string]float64{}
	for name, family := range families {
		if family.GetType().String() != "GAUGE" || family.GetHelp() == "" {
			t.Errorf("%s has no type or no help", name)
		}
		name = strings.TrimPrefix(name, "ecr_refresh_")
		all[name] = map[string]float64{}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			of := strings.TrimSpace(labels["step"] + " " + labels["dag"] + " " + labels["connection"])
			all[name][of] = m.GetGauge().GetValue()
		}
	}
	return all
}

func TestWrite(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	expiry := float64(at.Add(12 * time.Hour).Unix())
	folder := t.TempDir()
	for _, row := range []struct {
		name, step, dag, result string
		file                    string
		want                    map[string]map[string]float64
	}{
		{"step 1", "extract_ecr_token", "d.1",
			`{"tokens":[{"connections":["a","b"],"expires_at":"2026-11-24T18:00:00Z"}],"failures":[]}`,
			"extract_ecr_token-d.1.prom", map[string]map[string]float64{
				"token_expiry_timestamp_seconds": {
					"extract_ecr_token d.1 a": expiry, "extract_ecr_token d.1 b": expiry,
				},
				"last_success_timestamp_seconds": {"extract_ecr_token d.1": float64(at.Unix())},
				"duration_seconds":               {"extract_ecr_token d.1": 0.25},
				"failed_connections":             {"extract_ecr_token d.1": 0},
			}},
		{"step 2, with a failure and by hand", "update_docker_connection", "",
			`{"connections":[{"connection_id":"a","expires_at":"2026-11-24T18:00:00Z"}],` +
				`"failures":[{"connection_id":"b"}]}`,
			"update_docker_connection-manual.prom", map[string]map[string]float64{
				"token_expiry_timestamp_seconds": {"update_docker_connection  a": expiry},
				"last_success_timestamp_seconds": {"update_docker_connection": float64(at.Unix())},
				"duration_seconds":               {"update_docker_connection": 0.25},
				"failed_connections":             {"update_docker_connection": 1},
			}},
		{"no result", "run", "a/../b", "", "run-a_.._b.prom", map[string]map[string]float64{
			"last_success_timestamp_seconds": {"run a/../b": float64(at.Unix())},
			"duration_seconds":               {"run a/../b": 0.25},
			"failed_connections":             {"run a/../b": 0},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			began := at.Add(-250 * time.Millisecond)
			run := Run{Step: row.step, DAG: row.dag, Began: began, Ended: at, Result: []byte(row.result)}
			path := filepath.Join(folder, row.file)
			if err := os.WriteFile(path, []byte("what was there"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run.Write(filepath.Join(folder, "{step}-{dag}.prom")); err != nil {
				t.Fatal(err)
			}
			if got := scraped(t, path); !reflect.DeepEqual(got, row.want) {
				t.Errorf("got  %v\nwant %v", got, row.want)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
				t.Errorf("%v, mode %v: node_exporter is another user", err, info.Mode())
			}
		})
	}
}
