package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scraped reads a metrics file as Prometheus's own tools do: by metric, by "step" or "step connection".
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
		all[name] = map[string]float64{}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			all[name][strings.Join(labels, " ")] = m.GetGauge().GetValue()
		}
	}
	return all
}

func measure(t *testing.T, path, step string, at time.Time, result string, failed error) map[string]map[string]float64 {
	t.Helper()
	m := measurement{step: step, began: at.Add(-250 * time.Millisecond), ended: at, result: []byte(result), failed: failed}
	if err := m.update(path); err != nil {
		t.Fatal(err)
	}
	return scraped(t, path)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ecr_refresh.prom")
	at := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	want := func(when string, got map[string]map[string]float64, metric string, values map[string]float64) {
		t.Helper()
		if fmt.Sprint(got[metric]) != fmt.Sprint(values) {
			t.Errorf("%s: %s is %v, want %v", when, metric, got[metric], values)
		}
	}
	expiry := func(hours int) float64 { return float64(at.Add(time.Duration(hours) * time.Hour).Unix()) }

	measure(t, path, "extract_ecr_token", at, `{"tokens":[{"connections":["a","b"],"expires_at":"2026-11-24T18:00:00Z"}],"failures":[]}`, nil)
	two := `{"connections":[{"connection_id":"a","expires_at":"2026-11-24T18:00:00Z"},{"connection_id":"b","expires_at":"2026-11-24T18:00:00Z"}],"failures":[]}`
	got := measure(t, path, "update_docker_connection", at, two, nil)
	want("green", got, metricExpiry, map[string]float64{"extract_ecr_token a": expiry(12), "extract_ecr_token b": expiry(12),
		"update_docker_connection a": expiry(12), "update_docker_connection b": expiry(12)})
	want("green", got, metricDuration, map[string]float64{"extract_ecr_token": 0.25, "update_docker_connection": 0.25})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode is %v: node_exporter is another user", info.Mode())
	}

	// a is renewed; b failed, and c belongs to another DAG or group: both keep what they have.
	one := `{"connections":[{"connection_id":"a","expires_at":"2026-11-25T00:00:00Z"}],"failures":[{"connection_id":"b"}]}`
	measure(t, path, "update_docker_connection", at, `{"connections":[{"connection_id":"c","expires_at":"2026-11-24T18:00:00Z"}],"failures":[]}`, nil)
	later := at.Add(6 * time.Hour)
	got = measure(t, path, "update_docker_connection", later, one, nil)
	want("one failed", got, metricExpiry, map[string]float64{"extract_ecr_token a": expiry(12), "extract_ecr_token b": expiry(12),
		"update_docker_connection a": expiry(18), "update_docker_connection b": expiry(12), "update_docker_connection c": expiry(12)})
	want("one failed", got, metricFailed, map[string]float64{"extract_ecr_token": 0, "update_docker_connection": 1})

	// A step that fails keeps its last success and its tokens.
	got = measure(t, path, "update_docker_connection", later.Add(time.Hour), "", errors.New("no"))
	want("all failed", got, metricSuccess, map[string]float64{"extract_ecr_token": expiry(0), "update_docker_connection": expiry(6)})
	want("all failed", got, metricRun, map[string]float64{"extract_ecr_token": expiry(0), "update_docker_connection": expiry(7)})
	want("all failed", got, metricFailed, map[string]float64{"extract_ecr_token": 0})
	if n := len(got[metricExpiry]); n != 5 {
		t.Errorf("all failed: %d tokens are left, want 5", n)
	}

	// Days later nobody speaks of c any more; b still fails.
	got = measure(t, path, "update_docker_connection", at.AddDate(0, 0, 3), one, nil)
	want("days later", got, metricExpiry, map[string]float64{"extract_ecr_token a": expiry(12), "extract_ecr_token b": expiry(12),
		"update_docker_connection a": expiry(18), "update_docker_connection b": expiry(12)})
}

// The instances of a mapped task write at the same time, and none loses another's lines.
func TestMetricsSideBySide(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ecr_refresh.prom")
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			m := measurement{step: "test_docker_connection", ended: time.Now(),
				result: fmt.Appendf(nil, `{"connections":[{"connection_id":"c%d","expires_at":"%s"}]}`, n, time.Now().Add(time.Hour).Format(time.RFC3339))}
			if err := m.update(path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(scraped(t, path)[metricExpiry]); n != 20 {
		t.Errorf("%d of 20 connections are left", n)
	}
}

// Whoever may read the folder can hold its lock: a step does not wait for him for ever.
func TestMetricsDoNotWaitForEver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ecr_refresh.prom")
	folder, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	done := make(chan error, 1)
	go func() { done <- (measurement{step: "run"}).update(path) }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "lock") {
			t.Errorf("%v", err)
		}
	case <-time.After(3 * lockWait):
		t.Error("it still waits")
	}
}

// A file of somebody else's is not taken for one of metrics.
func TestMetricsLeaveOtherFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	other, link := filepath.Join(folder, "notes.txt"), filepath.Join(folder, "link.prom")
	if err := errors.Join(os.WriteFile(other, []byte("node_load1 0.5\n"), 0o600), os.Symlink(other, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{other, link} {
		if err := (measurement{step: "run"}).update(path); err == nil {
			t.Errorf("%s is overwritten", path)
		}
	}
	if text, _ := os.ReadFile(other); string(text) != "node_load1 0.5\n" {
		t.Errorf("the file is now %q", text)
	}
}
