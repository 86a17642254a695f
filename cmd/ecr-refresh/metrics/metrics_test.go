package metrics

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scraped reads metrics as Prometheus's own tools do: by metric and the values of its labels.
func scraped(t *testing.T, text []byte) map[string]float64 {
	t.Helper()
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

func TestText(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	run := Run{Step: "s", DAG: "a/../b", Began: ended.Add(-250 * time.Millisecond), Ended: ended, Result: []byte(`{
		"tokens":[{"connections":["a","b"],"expires_at":"2026-11-24T18:00:00Z"}],
		"connections":[{"connection_id":"c","expires_at":"2026-11-24T19:00:00Z"}],"failures":[{}]}`)}
	hours := func(n int) float64 { return float64(ended.Add(time.Duration(n) * time.Hour).Unix()) }
	want := map[string]float64{
		"token_expiry_timestamp_seconds step=s dag=a/../b connection=a": hours(12),
		"token_expiry_timestamp_seconds step=s dag=a/../b connection=b": hours(12),
		"token_expiry_timestamp_seconds step=s dag=a/../b connection=c": hours(13),
		"last_success_timestamp_seconds step=s dag=a/../b":              hours(0),
		"duration_seconds step=s dag=a/../b":                            0.25,
		"failed_connections step=s dag=a/../b":                          1,
	}
	if path := run.Path("/metrics/{step}-{dag}.prom"); path != "/metrics/s-a_.._b.prom" {
		t.Errorf("path %s", path)
	}
	if got := scraped(t, run.Text()); !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
