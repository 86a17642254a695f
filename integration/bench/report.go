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

// The project's limits: times are Python's over ours, the rest is ours alone.
const (
	limitHelper = 0.85 // ours, registry check included, over docker-credential-ecr-login's
	// What Airflow takes for any DAG of three tasks is most of ours, in both places.
	limitParse          = 8.0 // the two packages of the operator are imported, too
	limitParseProcessor = 10.0
	limitRun            = 0.2 // seconds over three tasks that do nothing
	// Airflow's own work on the calls may leave no room for limitBulk: then the step must be close to its calls alone.
	limitBulk    = 40.0
	limitOfCalls = 1.2

	limitWall   = 14.0
	limitCPU    = 14.0
	limitMemory = 24 << 20
	limitStart  = 12 * time.Millisecond
	limitSize   = 16 << 20
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

// row is one line of the table: medians of both programs, and the medians of the ratios of each pair.
type row struct {
	name              string
	ours, python      usage
	wall, cpu, memory float64
	fastest           float64 // wall time of the fastest runs: other work on the machine slows the longer one more
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
		fmt.Fprintf(w, "%-24s\t%s\t%s\t%.1f×\t%.1f×\t%.1f×\t%.1f×\t\n", row.name, row.ours, row.python,
			row.wall, row.fastest, row.cpu, row.memory)
	}
	_ = w.Flush() // into memory
	fmt.Fprintf(&b, "\nstart-up %s ms: %d × --version %s ms, less an empty Go program's %s ms\nsize %s MiB\n",
		milli(r.start()), len(r.version), milli(middle(r.version).Wall), milli(middle(r.empty).Wall), mebi(r.size))
	for _, line := range r.others() {
		fmt.Fprintf(&b, "%s: %s\n", line[0], line[1])
	}
	return b.String()
}

// String returns the three cells of a program.
func (u usage) String() string {
	return fmt.Sprintf("%s ms\t%s ms\t%s MiB", milli(u.Wall), milli(u.CPU), mebi(u.Memory))
}

func milli(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

func mebi(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

// check reports every figure that is over its limit. Times are checked for all three steps together, memory for each
// step; wall time also by the fastest runs, because other work on the machine changes the medians.
func (r report) check() error {
	var missed []error
	within := func(ok bool, format string, v ...any) {
		if !ok {
			missed = append(missed, fmt.Errorf(format, v...))
		}
	}
	rows := r.rows()
	all := rows[len(rows)-1]
	within(all.wall >= limitWall, "wall time: Python takes %.1f× of ours, under %.0f×", all.wall, limitWall)
	within(all.fastest >= limitWall, "wall time of the fastest runs: Python takes %.1f× of ours, under %.0f×",
		all.fastest, limitWall)
	within(all.cpu >= limitCPU, "CPU time: Python takes %.1f× of ours, under %.0f×", all.cpu, limitCPU)
	for _, row := range rows[:len(rows)-1] {
		within(row.ours.Memory <= limitMemory, "memory of %s: %s MiB, over %s",
			row.name, mebi(row.ours.Memory), mebi(limitMemory))
	}
	if len(r.helper.helper) > 0 {
		checked := r.helper.ratio()
		within(checked <= limitHelper, "extract takes %.2f× of docker-credential-ecr-login, over %.2f×",
			checked, limitHelper)
	}
	if r.airflow.release != "" {
		atTask, byProcessor := ratio(r.airflow.parsed.Task), ratio(r.airflow.parsed.Processor)
		within(atTask >= limitParse, "parse at a task's start: the baseline's DAG takes %.1f× of ours, under %.0f×",
			atTask, limitParse)
		within(byProcessor >= limitParseProcessor,
			"parse by the DAG processor: the baseline's DAG takes %.1f× of ours, under %.0f×",
			byProcessor, limitParseProcessor)
		within(r.airflow.above(r.airflow.run) <= limitRun, "run: %.2f s above three tasks that do nothing, over %.1f s",
			r.airflow.above(r.airflow.run), limitRun)
		most := slices.Max(each(r.airflow.oursUpdate, func(u usage) int64 { return u.Memory }))
		within(most <= limitMemory, "memory of update_docker_connection with %d connections: %s MiB, over %s",
			mostConnections, mebi(most), mebi(limitMemory))
		within(r.airflow.bulk() >= limitBulk || r.airflow.ofCalls() <= limitOfCalls,
			"update of %d connections: one by one takes %.0f×, under %.0f×, "+
				"and the step %.2f× of its calls alone, over %.1f×",
			mostConnections, r.airflow.bulk(), limitBulk, r.airflow.ofCalls(), limitOfCalls)
	}
	within(r.start() <= limitStart, "start-up: %s ms, over %s", milli(r.start()), milli(limitStart))
	within(r.size <= limitSize, "size: %s MiB, over %s", mebi(r.size), mebi(limitSize))
	return errors.Join(missed...)
}
