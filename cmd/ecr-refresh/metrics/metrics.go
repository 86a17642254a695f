// Package metrics writes what a run of a step did as a file for Prometheus's textfile collector
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
package metrics

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/xcom"
)

// Run is one run of a step that succeeded, at least for some connections.
type Run struct {
	Step         string
	DAG          string // "": it was run by hand
	Began, Ended time.Time
	Result       []byte // JSON, of any step
}

// Write replaces the file that pattern names, as a whole, with {step} and {dag} replaced: each step and DAG needs a
// file of its own. A name without {step} gets it before its extension. {dag} is "manual" for a step run by hand.
func (r Run) Write(pattern string) error {
	if extension := filepath.Ext(pattern); !strings.Contains(pattern, "{step}") {
		pattern = strings.TrimSuffix(pattern, extension) + "_{step}" + extension
	}
	dag := regexp.MustCompile(`[^\w.-]`).ReplaceAllString(cmp.Or(r.DAG, "manual"), "_") // no other folder
	path := strings.NewReplacer("{step}", r.Step, "{dag}", dag).Replace(pattern)
	return privatefile.WritePublic(path, []byte(r.text()))
}

// values are the samples of one metric, by what their labels have beside step and DAG.
type values map[string]any

func (r Run) text() (text string) {
	labels := fmt.Sprintf("step=%q", r.Step)
	if r.DAG != "" {
		labels += fmt.Sprintf(",dag=%q", r.DAG)
	}
	expiry, failed := r.connections()
	for _, m := range []struct {
		name, help string
		values     values
	}{
		{"token_expiry_timestamp_seconds", "When the token of a connection expires.", expiry},
		{"last_success_timestamp_seconds", "When the step last succeeded.", values{"": r.Ended.Unix()}},
		{"duration_seconds", "How long the step took.", values{"": r.Ended.Sub(r.Began).Seconds()}},
		{"failed_connections", "How many connections failed in this step or before it.", values{"": failed}},
	} {
		name := "ecr_refresh_" + m.name
		text += fmt.Sprintf("# HELP %s %s\n# TYPE %s gauge\n", name, m.help, name)
		for _, label := range slices.Sorted(maps.Keys(m.values)) {
			text += fmt.Sprintf("%s{%s%s} %v\n", name, labels, label, m.values[label])
		}
	}
	return text
}

// connections returns when the token of each connection expires, and how many have failed.
func (r Run) connections() (expiry values, failed int) {
	var result struct {
		Tokens      []xcom.Token
		Connections []xcom.Tested // or xcom.Updated, which has the same two fields
		Failures    []xcom.Failure
	}
	_ = json.Unmarshal(r.Result, &result)
	for _, t := range result.Tokens {
		for _, id := range t.Connections {
			result.Connections = append(result.Connections, xcom.Tested{ConnectionID: id, ExpiresAt: t.ExpiresAt})
		}
	}
	expiry = values{}
	for _, c := range result.Connections {
		expiry[fmt.Sprintf(",connection=%q", c.ConnectionID)] = c.ExpiresAt.Unix()
	}
	return expiry, len(result.Failures)
}
