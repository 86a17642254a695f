package main

import (
	"bytes"
	"ecr-refresh/steps/privatefile"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
// failed keeps its last success and its tokens, and a dry run, which renews nothing, keeps all. A metrics file that
// cannot be written fails no step.
func (c *call) writeMetrics(began time.Time, result []byte, failed error) {
	path := c.optional(c.metrics)
	measured := slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return f.Names()[0] == c.metrics.flag })
	if path == "" || !measured || c.dryRun() {
		return
	}
	m := measurement{step: strings.ReplaceAll(c.Command.Name, "-", "_"), began: began, ended: time.Now(), result: result, failed: failed}
	if err := m.update(path); err != nil {
		c.log.Warn(fmt.Sprintf("write --metrics-file %q: %s", path, cause(err)))
	}
}

// lockWait bounds the wait for other steps that write: each takes as long as its disk needs for one small file.
const lockWait = 5 * time.Second

// measurement is one run of a step.
type measurement struct {
	step         string
	began, ended time.Time
	result       []byte // its document
	failed       error
}

// update rewrites the file at path. Steps of several DAGs, and the instances of a mapped task, may do so side by side.
func (m measurement) update(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close() // and with it the lock
	if err := lock(folder); err != nil {
		return err
	}
	old, err := readMetrics(path)
	if err != nil {
		return err
	}
	return privatefile.WritePublic(path, m.merged(old).print())
}

func lock(folder *os.File) error {
	for end := time.Now().Add(lockWait); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(end) {
			return errors.New("somebody else holds the lock of its folder")
		}
	}
}

// sample is a line of a metrics file, with its parts.
type sample struct{ line, metric, step, connection, value string }

// readMetrics reads the lines that this program wrote, and refuses a file with others: it would lose them.
func readMetrics(path string) (all []sample, err error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	form := regexp.MustCompile(`^(ecr_refresh_\w+)\{step="(\w+)"(?:,connection="([\w.-]+)")?\} (\S+)$`)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		m := form.FindStringSubmatch(line)
		if m == nil && line != "" && !strings.HasPrefix(line, "#") {
			return nil, errors.New("a line in it is not of ecr-refresh: name a file of its own")
		}
		if m != nil {
			all = append(all, sample{m[0], m[1], m[2], m[3], m[4]})
		}
	}
	return all, nil
}

// merged gives old with this run in place of what it says of the step.
func (m measurement) merged(old []sample) samples {
	all, own, now := samples{}, fmt.Sprintf("step=%q", m.step), m.ended.Unix()
	done, failures := m.connections()
	for _, s := range old {
		if s.step != m.step || m.keeps(s, done, failures) {
			all[s.metric] = append(all[s.metric], s.line)
		}
	}
	all.add(metricRun, own, now)
	all.add(metricDuration, own, m.ended.Sub(m.began).Seconds())
	if m.failed == nil {
		all.add(metricSuccess, own, now)
		all.add(metricFailed, own, len(failures))
	}
	for _, id := range slices.Sorted(maps.Keys(done)) {
		all.add(metricExpiry, fmt.Sprintf("%s,connection=%q", own, id), done[id].Unix())
	}
	return all
}

// keeps tells which lines of its own step a run leaves: of connections that it did not renew, because it failed or was
// for others. A connection that nobody renews any more is forgotten a day after its token died.
func (m measurement) keeps(s sample, done map[string]time.Time, failures []string) bool {
	if s.metric != metricExpiry {
		return s.metric == metricSuccess && m.failed != nil
	}
	if _, renewed := done[s.connection]; renewed {
		return false
	}
	died, err := strconv.ParseInt(s.value, 10, 64)
	return m.failed != nil || slices.Contains(failures, s.connection) || err == nil && m.ended.Before(time.Unix(died, 0).AddDate(0, 0, 1))
}

// connections reads the ends of the tokens out of the step's document, of whichever kind, and the ids of the connections
// that failed.
func (m measurement) connections() (done map[string]time.Time, failures []string) {
	type connection struct {
		ID        string    `json:"connection_id"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	var document struct {
		Tokens []struct {
			Connections []string
			ExpiresAt   time.Time `json:"expires_at"`
		}
		Connections, Failures []connection
	}
	done = map[string]time.Time{}
	if m.failed != nil || json.Unmarshal(m.result, &document) != nil {
		return done, nil
	}
	for _, t := range document.Tokens {
		for _, id := range t.Connections {
			done[id] = t.ExpiresAt
		}
	}
	for _, c := range document.Connections {
		done[c.ID] = c.ExpiresAt
	}
	for _, f := range document.Failures {
		failures = append(failures, f.ID)
	}
	return done, failures
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

// cause leaves out the operation and path that fs.PathError would repeat.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
