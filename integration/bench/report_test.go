package main

import (
	"strings"
	"testing"
	"time"
)

// made returns n rounds of which each step takes ms of wall and of CPU time.
func made(n int, ms time.Duration, memory int64) (rounds []round) {
	for range n {
		u := usage{Wall: ms * time.Millisecond, CPU: ms * time.Millisecond, Memory: memory}
		rounds = append(rounds, round{u, u, u})
	}
	return rounds
}

func good() report {
	return report{
		ours: made(3, 10, 20<<20), python: made(3, 200, 40<<20),
		version: []usage{{Wall: 5 * time.Millisecond}}, empty: []usage{{Wall: time.Millisecond}}, size: 15 << 20,
	}
}

func TestRatiosAreOfPairs(t *testing.T) {
	t.Parallel()
	r := report{ours: made(3, 10, 1<<20), python: made(3, 100, 2<<20)}
	r.ours[0][1].Wall, r.python[0][1].Wall = 100*time.Millisecond, 900*time.Millisecond // both programs were disturbed
	r.ours[1][1].Wall, r.python[1][1].Wall = 10*time.Millisecond, 80*time.Millisecond
	row := r.rows()[1]
	if row.wall != 9 || row.fastest != 8 || row.cpu != 10 || row.memory != 2 {
		t.Errorf("ratios %v %v %v %v, want 9 8 10 2", row.wall, row.fastest, row.cpu, row.memory)
	}
	all := r.rows()[3]
	if all.ours.Wall != 30*time.Millisecond || all.ours.Memory != 1<<20 {
		t.Errorf("all three take %v and %d bytes, want the sum of times and the largest peak",
			all.ours.Wall, all.ours.Memory)
	}
}

func TestCheckNamesEachMiss(t *testing.T) {
	t.Parallel()
	if err := good().check(); err != nil {
		t.Errorf("all figures are within their limits: %v", err)
	}
	for _, c := range []struct {
		missed string
		make   func(*report)
	}{
		{"wall time:", func(r *report) { r.python[0][0].Wall, r.python[1][0].Wall = 0, 0 }},
		{"wall time of the fastest runs", func(r *report) { r.python[0][0].Wall = 0 }},
		{"CPU time", func(r *report) { r.ours = made(3, 15, 20<<20) }},
		{"memory of update_docker_connection", func(r *report) {
			r.ours[0][1].Memory, r.ours[1][1].Memory = 25<<20, 25<<20
		}},
		{"start-up", func(r *report) { r.version[0].Wall = 14 * time.Millisecond }},
		{"size", func(r *report) { r.size = 16<<20 + 1 }},
	} {
		r := good()
		c.make(&r)
		if err := r.check(); err == nil || !strings.Contains(err.Error(), c.missed) {
			t.Errorf("check reports %v, want %q", err, c.missed)
		}
	}
}

func TestTableHasALineForEachStep(t *testing.T) {
	t.Parallel()
	table := good().table()
	for _, want := range []string{
		"extract_ecr_token         10.0 ms", "all three                 30.0 ms", "20.0×",
		"start-up 4.0 ms", "size 15.0 MiB",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
}
