package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// The metrics of a step, as Prometheus's textfile collector reads them
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
const (
	metricExpiry   = "ecr_refresh_token_expiry_timestamp_seconds"
	metricSuccess  = "ecr_refresh_last_success_timestamp_seconds"
	metricRun      = "ecr_refresh_last_run_timestamp_seconds"
	metricDuration = "ecr_refresh_duration_seconds"
	metricFailed   = "ecr_refresh_failed_connections"
)

// metricHelps are in the order of the file.
func metricHelps() [][2]string {
	return [][2]string{
		{metricExpiry, "When the token dies that the step got, published or tested for a connection."},
		{metricSuccess, "When the step last succeeded."},
		{metricRun, "When the step last ended."},
		{metricDuration, "How long the step took."},
		{metricFailed, "How many connections have failed in this step or before it."},
	}
}

// samples are lines of a metrics file, by metric.
type samples map[string][]string

func (s samples) add(metric, labels string, value any) {
	s[metric] = append(s[metric], fmt.Sprintf("%s{%s} %v", metric, labels, value))
}

// writeMetrics puts what this step did into --metrics-file, beside what the file says of the other steps. A step that
// failed keeps its last success and its tokens. A metrics file that cannot be written fails no step.
func (c *call) writeMetrics(began time.Time, result []byte, failed error) {
	path := c.optional(c.metrics)
	measured := slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return f.Names()[0] == c.metrics.flag })
	if path == "" || !measured {
		return
	}
	err := updateMetrics(path, strings.ReplaceAll(c.Command.Name, "-", "_"), began, time.Now(), result, failed)
	if err != nil {
		c.log.Warn(fmt.Sprintf("write --metrics-file %q: %s", path, cause(err)))
	}
}

func updateMetrics(path, step string, began, now time.Time, result []byte, failed error) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all := samples{}
	own := fmt.Sprintf("step=%q", step)
	for _, line := range regexp.MustCompile(metricLine).FindAllStringSubmatch(string(old), -1) {
		if line[2] != own || failed != nil && (line[1] == metricExpiry || line[1] == metricSuccess) {
			all[line[1]] = append(all[line[1]], line[0])
		}
	}
	all.add(metricRun, own, now.Unix())
	all.add(metricDuration, own, now.Sub(began).Seconds())
	if failed == nil {
		all.add(metricSuccess, own, now.Unix())
		all.ofResult(own, result)
	}
	return writePublic(path, all.print())
}

// metricLine is a sample as this program writes it.
const metricLine = `(?m)^(ecr_refresh_\w+)\{(step="\w+")(?:,connection="[\w.-]+")?\} \S+$`

// ofResult reads the tokens' ends out of a step's document, of whichever kind.
func (s samples) ofResult(own string, result []byte) {
	type connection struct {
		ID        string    `json:"connection_id"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	var document struct {
		Tokens []struct {
			Connections []string
			ExpiresAt   time.Time `json:"expires_at"`
		}
		Connections []connection
		Failures    []any
	}
	if json.Unmarshal(result, &document) != nil {
		return
	}
	for _, t := range document.Tokens {
		for _, id := range t.Connections {
			document.Connections = append(document.Connections, connection{id, t.ExpiresAt})
		}
	}
	for _, c := range document.Connections {
		s.add(metricExpiry, fmt.Sprintf("%s,connection=%q", own, c.ID), c.ExpiresAt.Unix())
	}
	s.add(metricFailed, own, len(document.Failures))
}

func (s samples) print() []byte {
	var text bytes.Buffer
	for _, metric := range metricHelps() {
		if lines := s[metric[0]]; len(lines) > 0 {
			fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s gauge\n%s\n", metric[0], metric[1], metric[0], strings.Join(lines, "\n"))
		}
	}
	return text.Bytes()
}
