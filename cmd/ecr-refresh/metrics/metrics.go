// Package metrics writes what a run of a step did as a file for Prometheus's textfile collector
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
package metrics

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ecr-refresh/steps/xcom"
)

// Run is one run of a step that succeeded, at least for some connections.
type Run struct {
	Step         string
	DAG          string // "": it was run by hand
	Began, Ended time.Time
	Result       []byte // JSON, of any step
}

// Path returns the file that pattern names, with {step} and {dag} replaced: each step and DAG needs a file of its own.
// A name without {step} gets it before its extension. {dag} is "manual" for a step run by hand.
func (r Run) Path(pattern string) string {
	if extension := filepath.Ext(pattern); !strings.Contains(pattern, "{step}") {
		pattern = strings.TrimSuffix(pattern, extension) + "_{step}" + extension
	}
	dag := regexp.MustCompile(`[^\w.-]`).ReplaceAllString(cmp.Or(r.DAG, "manual"), "_") // no other folder
	return strings.NewReplacer("{step}", r.Step, "{dag}", dag).Replace(pattern)
}

// file is what is written, but for labels and values.
const file = `# HELP ecr_refresh_token_expiry_timestamp_seconds When the token of a connection expires.
# TYPE ecr_refresh_token_expiry_timestamp_seconds gauge
%[2]s# HELP ecr_refresh_last_success_timestamp_seconds When the step last succeeded.
# TYPE ecr_refresh_last_success_timestamp_seconds gauge
ecr_refresh_last_success_timestamp_seconds{%[1]s} %[3]d
# HELP ecr_refresh_duration_seconds How long the step took.
# TYPE ecr_refresh_duration_seconds gauge
ecr_refresh_duration_seconds{%[1]s} %[4]v
# HELP ecr_refresh_failed_connections How many connections failed in this step or before it.
# TYPE ecr_refresh_failed_connections gauge
ecr_refresh_failed_connections{%[1]s} %[5]d
`

// Text returns what is written to it.
func (r Run) Text() []byte {
	var result struct {
		Tokens      []xcom.Token
		Connections []xcom.Tested // or xcom.Updated, which has the same two fields
		Failures    []any
	}
	_ = json.Unmarshal(r.Result, &result)
	for _, t := range result.Tokens {
		for _, id := range t.Connections {
			result.Connections = append(result.Connections, xcom.Tested{ConnectionID: id, ExpiresAt: t.ExpiresAt})
		}
	}
	labels, expiry := fmt.Sprintf("step=%q", r.Step), ""
	if r.DAG != "" {
		labels += fmt.Sprintf(",dag=%q", r.DAG)
	}
	for _, c := range result.Connections {
		const line = "ecr_refresh_token_expiry_timestamp_seconds{%s,connection=%q} %d\n"
		expiry += fmt.Sprintf(line, labels, c.ConnectionID, c.ExpiresAt.Unix())
	}
	return fmt.Appendf(nil, file, labels, expiry, r.Ended.Unix(), r.Ended.Sub(r.Began).Seconds(), len(result.Failures))
}
