// Package metrics writes what a run of a step did as a file for Prometheus's textfile collector
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"ecr-refresh/steps/privatefile"
)

// Run is one run of a step that succeeded, at least for some connections.
type Run struct {
	Step         string
	DAG          string // "": it was run by hand
	Began, Ended time.Time
	Result       []byte // JSON
}

// Path returns pattern with {step} and {dag} replaced: each step and DAG needs a file of its own. {dag} is "manual"
// for a step that is run by hand.
func (r Run) Path(pattern string) string {
	dag := "manual"
	if r.DAG != "" {
		dag = regexp.MustCompile(`[^\w.-]`).ReplaceAllString(r.DAG, "_") // no other folder
	}
	return strings.NewReplacer("{step}", r.Step, "{dag}", dag).Replace(pattern)
}

// Write replaces the file that pattern names as a whole.
func (r Run) Write(pattern string) error {
	return privatefile.WritePublic(r.Path(pattern), []byte(r.text()))
}

func (r Run) text() string {
	expiry, failed := r.connections()
	labels := fmt.Sprintf("step=%q", r.Step)
	if r.DAG != "" {
		labels += fmt.Sprintf(",dag=%q", r.DAG)
	}
	var tokens []string
	for _, id := range slices.Sorted(maps.Keys(expiry)) {
		tokens = append(tokens, fmt.Sprintf("{%s,connection=%q} %d", labels, id, expiry[id].Unix()))
	}
	one := func(value any) []string { return []string{fmt.Sprintf("{%s} %v", labels, value)} }
	return gauge("token_expiry_timestamp_seconds", "When the token of a connection expires.", tokens) +
		gauge("last_success_timestamp_seconds", "When the step last succeeded.", one(r.Ended.Unix())) +
		gauge("duration_seconds", "How long the step took.", one(r.Ended.Sub(r.Began).Seconds())) +
		gauge("failed_connections", "How many connections failed in this step or before it.", one(failed))
}

func gauge(name, help string, samples []string) string {
	if len(samples) == 0 {
		return ""
	}
	name = "ecr_refresh_" + name
	text := fmt.Sprintf("# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
	for _, sample := range samples {
		text += name + sample + "\n"
	}
	return text
}

// connections returns, from the result of any step, when the token of each connection expires, and how many have
// failed.
func (r Run) connections() (expiry map[string]time.Time, failed int) {
	var result struct {
		Tokens []struct {
			Connections []string
			ExpiresAt   time.Time `json:"expires_at"`
		}
		Connections []struct {
			ID        string    `json:"connection_id"`
			ExpiresAt time.Time `json:"expires_at"`
		}
		Failures []json.RawMessage
	}
	expiry = map[string]time.Time{}
	if json.Unmarshal(r.Result, &result) != nil {
		return expiry, 0
	}
	for _, t := range result.Tokens {
		for _, id := range t.Connections {
			expiry[id] = t.ExpiresAt
		}
	}
	for _, c := range result.Connections {
		expiry[c.ID] = c.ExpiresAt
	}
	return expiry, len(result.Failures)
}
