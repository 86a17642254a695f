package main

import (
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// made returns three rounds of which each step takes wall and CPU time.
func made(took time.Duration, memory int64) []round {
	u := usage{Wall: took, CPU: took, Memory: memory}
	return []round{{u, u, u}, {u, u, u}, {u, u, u}}
}

func good() report {
	return report{ours: made(10*ms, 20<<20), python: made(200*ms, 40<<20), size: 15 << 20,
		version: []usage{{Wall: 5 * ms}}, empty: []usage{{Wall: ms}}}
}

func TestRatiosAreOfPairs(t *testing.T) {
	t.Parallel()
	r := report{ours: made(10*ms, 1<<20), python: made(100*ms, 2<<20)}
	r.ours[0][1].Wall, r.python[0][1].Wall = 100*ms, 900*ms // both programs were disturbed
	r.ours[1][1].Wall, r.python[1][1].Wall = 10*ms, 80*ms
	ours, python := usage{10 * ms, 10 * ms, 1 << 20}, usage{100 * ms, 100 * ms, 2 << 20}
	if got, want := r.rows()[1], (row{"update_docker_connection", ours, python, 9, 10, 2, 8}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := r.rows()[3].ours; got != (usage{30 * ms, 30 * ms, 1 << 20}) {
		t.Errorf("all three take %+v, want the sum of times and the largest peak", got)
	}
}

func TestCheckNamesEachMiss(t *testing.T) {
	t.Parallel()
	for missed, spoil := range map[string]func(*report){
		"":                              func(*report) {},
		"wall time:":                    func(r *report) { r.python[0][0].Wall, r.python[1][0].Wall = 0, 0 },
		"wall time of the fastest runs": func(r *report) { r.python[0][0].Wall = 0 },
		"CPU time":                      func(r *report) { r.ours = made(15*ms, 20<<20) },
		"memory of update_docker":       func(r *report) { r.ours[0][1].Memory, r.ours[1][1].Memory = 25<<20, 25<<20 },
		"start-up":                      func(r *report) { r.version[0].Wall = 14 * ms },
		"size":                          func(r *report) { r.size = 16<<20 + 1 },
	} {
		r := good()
		spoil(&r)
		if err := r.check(); (err == nil) != (missed == "") || err != nil && !strings.Contains(err.Error(), missed) {
			t.Errorf("check reports %v, want %q", err, missed)
		}
	}
}
