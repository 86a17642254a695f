package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ratio returns the baseline's time to parse its DAG over ours.
func ratio(parses [2][]float64) float64 { return median(parses[1]) / median(parses[0]) }

// above returns the seconds of a DAG's run over those of three tasks that do nothing.
func (m onAirflow) above(runs []float64) float64 { return median(runs) - median(m.floor) }

// bulk returns one by one over ours, for the most connections.
func (m onAirflow) bulk() float64 {
	last := len(m.n) - 1
	return m.oneByOne[last] / m.oursUpdate[last].Wall.Seconds()
}

// ofCalls returns step 2 over its calls alone, for the most connections, by the fastest runs: what disturbs them is
// Airflow's.
func (m onAirflow) ofCalls() float64 { return m.mostUpdate / m.calls }

// others are the figures beside the three steps: what was compared, and what came of it.
func (r report) others() (lines [][2]string) {
	add := func(what, format string, args ...any) {
		lines = append(lines, [2]string{what, fmt.Sprintf(format, args...)})
	}
	if len(r.helper.helper) == 0 {
		return nil
	}
	add("extract beside docker-credential-ecr-login get", "%.2f× of its %s ms", r.helper.ratio(),
		milli(middle(r.helper.helper).Wall))
	m := r.airflow
	if m.release == "" {
		return lines
	}
	parse := func(where string, p [2][]float64) {
		add("parse of the DAG file "+where, "%.1f ms; with boto3, requests and docker at its top %.0f ms: %.1f×",
			1e3*median(p[0]), 1e3*median(p[1]), ratio(p))
	}
	parse("by the DAG processor", m.parsed.Processor)
	parse("at a task's start", m.parsed.Task)
	add("run of the DAG on Airflow "+m.release,
		"%.2f s; three tasks that do nothing %.2f s (%+.2f s), the three steps in Python tasks %.2f s (%+.2f s)",
		median(m.run), median(m.floor), m.above(m.run), median(m.pyRun), m.above(m.pyRun))
	for i, n := range m.n {
		add(fmt.Sprintf("update of %d connections on it", n), "%.2f s and %s MiB; one by one %.2f s: %.1f×",
			m.oursUpdate[i].Wall.Seconds(), mebi(m.oursUpdate[i].Memory), m.oneByOne[i],
			m.oneByOne[i]/m.oursUpdate[i].Wall.Seconds())
	}
	add(fmt.Sprintf("the calls of the update of %d connections alone", mostConnections),
		"%.2f s at best: the whole step takes %.2f× of it", m.calls, m.ofCalls())
	return lines
}

// write makes docs/benchmarks.md and its plot.
func (r report) write(root, python, here string) error {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n`make bench` wrote this page on " + time.Now().UTC().Format("2006-01-02") +
		". Both programs run alternately against the same services; " +
		"figures are medians, and ratios medians of pairs. " +
		"`make bench-check` fails if a figure is over its limit.\n\n" +
		strings.ReplaceAll(strings.TrimSpace(r.heading), "\n", "; ") + ".\n\n" +
		"| step | ours: wall, CPU, memory | Python | wall | CPU | memory |\n|---|---|---|---|---|---|\n")
	for _, row := range r.rows() {
		fmt.Fprintf(&b, "| %s | %s | %s | %.1f× | %.1f× | %.1f× |\n", row.name, cells(row.ours), cells(row.python),
			row.wall, row.cpu, row.memory)
	}
	fmt.Fprintf(&b, "\n| | |\n|---|---|\n| start-up | %s ms over an empty Go program |\n| binary | %s MiB |\n",
		milli(r.start()), mebi(r.size))
	for _, line := range r.others() {
		fmt.Fprintf(&b, "| %s | %s |\n", line[0], line[1])
	}
	if r.airflow.release == "" {
		return os.WriteFile(filepath.Join(root, "docs", "benchmarks.md"), []byte(b.String()), 0o644)
	}
	b.WriteString("\nOne token in all connections that is new to Airflow costs its log masker some 0.05 s, " +
		"now and then 0.4 s more for Python's garbage collection: " +
		"with few connections, this is most of the time of both programs. " +
		"With many it is Airflow's own work on each password.\n")
	b.WriteString("\n![How time and memory grow with the number of connections](pictures/growth.svg)\n")
	if err := r.plot(filepath.Join(root, "docs", "pictures", "growth.svg"), python, here); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs", "benchmarks.md"), []byte(b.String()), 0o644)
}

func cells(u usage) string { return strings.ReplaceAll(u.String(), "\t", ", ") }

func (r report) plot(path, python, here string) error {
	var seconds []float64
	var memory []int64
	for _, u := range r.airflow.oursUpdate {
		seconds, memory = append(seconds, u.Wall.Seconds()), append(memory, u.Memory)
	}
	data, err := json.Marshal(map[string]any{"n": r.airflow.n, "ours_s": seconds, "one_by_one_s": r.airflow.oneByOne,
		"memory": memory})
	if err != nil {
		return err
	}
	draw := exec.Command(python, filepath.Join(here, "plot.py"), path)
	draw.Stdin, draw.Stderr = bytes.NewReader(data), os.Stderr
	return draw.Run()
}
