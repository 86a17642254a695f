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

func (r Run) text() (text string) {
	var result struct {
		Tokens      []xcom.Token
		Connections []xcom.Tested // or xcom.Updated, which has the same two fields
		Failures    []xcom.Failure
	}
	_ = json.Unmarshal(r.Result, &result)
	expiry := map[string]any{} // by label
	for _, t := range result.Tokens {
		for _, id := range t.Connections {
			expiry[fmt.Sprintf(",connection=%q", id)] = t.ExpiresAt.Unix()
		}
	}
	for _, c := range result.Connections {
		expiry[fmt.Sprintf(",connection=%q", c.ConnectionID)] = c.ExpiresAt.Unix()
	}
	labels := fmt.Sprintf("step=%q", r.Step)
	if r.DAG != "" {
		labels += fmt.Sprintf(",dag=%q", r.DAG)
	}
	for _, m := range []struct {
		name, help string
		values     map[string]any
	}{
		{"token_expiry_timestamp_seconds", "When the token of a connection expires.", expiry},
		{"last_success_timestamp_seconds", "When the step last succeeded.", map[string]any{"": r.Ended.Unix()}},
		{"duration_seconds", "How long the step took.", map[string]any{"": r.Ended.Sub(r.Began).Seconds()}},
		{"failed_connections", "How many connections failed in this step or before it.",
			map[string]any{"": len(result.Failures)}},
	} {
		name := "ecr_refresh_" + m.name
		text += fmt.Sprintf("# HELP %s %s\n# TYPE %s gauge\n", name, m.help, name)
		for _, label := range slices.Sorted(maps.Keys(m.values)) {
			text += fmt.Sprintf("%s{%s%s} %v\n", name, labels, label, m.values[label])
		}
	}
	return text
}
