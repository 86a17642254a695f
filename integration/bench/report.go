package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The project's bars: times are Python's over ours, the rest is ours alone.
const (
	barHelper = 0.85 // ours, registry check included, over docker-credential-ecr-login's
	barParse  = 15.0
	// The DAG processor has Airflow's own modules loaded, and what it takes for any DAG is most of ours.
	barParseProcessor = 10.0
	barRun            = 0.2 // seconds over three tasks that do nothing
	// Airflow's own work on the calls may leave no room for barBulk: then the step must be close to its calls alone.
	barBulk    = 40.0
	barOfCalls = 1.2

	barWall   = 14.0
	barCPU    = 14.0
	barMemory = 24 << 20
	barStart  = 12 * time.Millisecond
	barSize   = 16 << 20
)

// report is all that was measured.
type report struct {
	heading        string
	ours, python   []round
	version, empty []usage
	size           int64
	helper         helperRatio // both trust the system's certificates, as in use
	airflow        onAirflow
}

// row is one line of the table: medians of both sides, and the medians of the ratios of each pair.
type row struct {
	name              string
	ours, python      usage
	wall, cpu, memory float64
	fastest           float64 // wall time of the fastest runs: other work on the machine slows the longer side more
}

// rows are the three steps, then all of them.
func (r report) rows() []row {
	names := [...]string{"extract_ecr_token", "update_docker_connection", "test_docker_connection", "all three"}
	rows := make([]row, len(names))
	for i, name := range names {
		rows[i] = compare(name, pick(r.ours, i), pick(r.python, i))
	}
	return rows
}

// pick returns step i of each round; past the last step, the total.
func pick(rounds []round, i int) []usage {
	picked := make([]usage, len(rounds))
	for n, r := range rounds {
		if i < len(r) {
			picked[n] = r[i]
		} else {
			picked[n] = r.total()
		}
	}
	return picked
}

func compare(name string, ours, python []usage) row {
	ratio := func(of func(usage) float64) float64 {
		ratios := make([]float64, len(ours))
		for i := range ours {
			ratios[i] = of(python[i]) / of(ours[i])
		}
		return median(ratios)
	}
	return row{
		name: name, ours: middle(ours), python: middle(python),
		fastest: float64(fastest(python)) / float64(fastest(ours)),
		wall:    ratio(func(u usage) float64 { return float64(u.Wall) }),
		cpu:     ratio(func(u usage) float64 { return float64(u.CPU) }),
		memory:  ratio(func(u usage) float64 { return float64(u.Memory) }),
	}
}

func fastest(all []usage) time.Duration {
	return slices.Min(each(all, func(u usage) time.Duration { return u.Wall }))
}

// middle returns the median of each figure by itself.
func middle(all []usage) usage {
	return usage{
		Wall:   median(each(all, func(u usage) time.Duration { return u.Wall })),
		CPU:    median(each(all, func(u usage) time.Duration { return u.CPU })),
		Memory: median(each(all, func(u usage) int64 { return u.Memory })),
	}
}

func each[T any](all []usage, of func(usage) T) []T {
	out := make([]T, len(all))
	for i, u := range all {
		out[i] = of(u)
	}
	return out
}

func median[T cmp.Ordered](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// start is what the binary takes before its own work begins, less what any static Go program takes.
func (r report) start() time.Duration {
	return middle(r.version).Wall - middle(r.empty).Wall
}

func (r report) table() string {
	var b strings.Builder
	b.WriteString(r.heading + "\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tours\t\t\tPython\t\t\tPython / ours\t\t\t\t")
	fmt.Fprintln(w, "\twall\tcpu\tmemory\twall\tcpu\tmemory\twall\t(fastest)\tcpu\tmemory\t")
	for _, row := range r.rows() {
		fmt.Fprintf(w, "%-24s\t%s\t%s\t%.1f×\t%.1f×\t%.1f×\t%.1f×\t\n", row.name, row.ours, row.python, row.wall, row.fastest,
			row.cpu, row.memory)
	}
	_ = w.Flush() // into memory
	fmt.Fprintf(&b, "\nstart-up %s ms: %d × --version %s ms, less an empty Go program's %s ms\nsize %s MiB\n",
		milli(r.start()), len(r.version), milli(middle(r.version).Wall), milli(middle(r.empty).Wall), mebi(r.size))
	for _, line := range r.others() {
		fmt.Fprintf(&b, "%s: %s\n", line[0], line[1])
	}
	return b.String()
}

// String returns the three cells of a side.
func (u usage) String() string {
	return fmt.Sprintf("%s ms\t%s ms\t%s MiB", milli(u.Wall), milli(u.CPU), mebi(u.Memory))
}

func milli(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

func mebi(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

// check names every figure that misses its bar. Times are checked for all three steps together, memory for each step;
// wall time twice, so that a busy machine flatters nobody.
func (r report) check() error {
	var missed []error
	bar := func(ok bool, format string, v ...any) {
		if !ok {
			missed = append(missed, fmt.Errorf(format, v...))
		}
	}
	rows := r.rows()
	all := rows[len(rows)-1]
	bar(all.wall >= barWall, "wall time: Python takes %.1f× of ours, under %.0f×", all.wall, barWall)
	bar(all.fastest >= barWall, "wall time of the fastest runs: Python takes %.1f× of ours, under %.0f×", all.fastest,
		barWall)
	bar(all.cpu >= barCPU, "CPU time: Python takes %.1f× of ours, under %.0f×", all.cpu, barCPU)
	for _, row := range rows[:len(rows)-1] {
		bar(row.ours.Memory <= barMemory, "memory of %s: %s MiB, over %s", row.name, mebi(row.ours.Memory), mebi(barMemory))
	}
	if len(r.helper.helper) > 0 {
		_, checked := r.helper.ratios()
		bar(checked <= barHelper, "extract takes %.2f× of docker-credential-ecr-login, over %.2f×", checked, barHelper)
	}
	if r.airflow.release != "" {
		bar(ratio(r.airflow.parsed.Task) >= barParse,
			"parse at a task's start: the baseline's DAG takes %.1f× of ours, under %.0f×", ratio(r.airflow.parsed.Task),
			barParse)
		bar(ratio(r.airflow.parsed.Processor) >= barParseProcessor,
			"parse by the DAG processor: the baseline's DAG takes %.1f× of ours, under %.0f×", ratio(r.airflow.parsed.Processor),
			barParseProcessor)
		bar(r.airflow.above(r.airflow.run) <= barRun, "run: %.2f s above three tasks that do nothing, over %.1f s",
			r.airflow.above(r.airflow.run), barRun)
		most := slices.Max(each(r.airflow.oursUpdate, func(u usage) int64 { return u.Memory }))
		bar(most <= barMemory, "memory of update_docker_connection with %d connections: %s MiB, over %s", mostConnections,
			mebi(most), mebi(barMemory))
		bar(r.airflow.bulk() >= barBulk || r.airflow.ofCalls() <= barOfCalls,
			"update of %d connections: one by one takes %.0f×, under %.0f×, and the step %.2f× of its calls alone, over %.1f×",
			mostConnections, r.airflow.bulk(), barBulk, r.airflow.ofCalls(), barOfCalls)
	}
	bar(r.start() <= barStart, "start-up: %s ms, over %s", milli(r.start()), milli(barStart))
	bar(r.size <= barSize, "size: %s MiB, over %s", mebi(r.size), mebi(barSize))
	return errors.Join(missed...)
}
