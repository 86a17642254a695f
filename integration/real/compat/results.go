package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// event is one line of `go test -json`.
type event struct{ Action, Test, Output string }

// read returns by name whether each test passed that has no tests below it, and shows the output of those that did not.
// A run that failed without a failed test (it does not compile, or ran out of time) is a failed test of its own.
func read(lines string, failed bool) (map[string]bool, error) {
	passed, output := map[string]bool{}, map[string]string{}
	for line := range strings.Lines(lines) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("read the output of go test: %w: %s", err, line)
		}
		output[e.Test] += e.Output
		if e.Test != "" && (e.Action == "pass" || e.Action == "fail") {
			passed[e.Test] = e.Action == "pass"
		}
	}
	tests := leaves(passed)
	if failed && !anyFailed(tests) {
		tests["the run itself"] = false
		output["the run itself"] = output[""]
	}
	for name, ok := range tests {
		if !ok {
			fmt.Fprintf(os.Stderr, "%s failed:\n%s", name, output[name])
		}
	}
	return tests, nil
}

// leaves leaves out each test that passed or failed by those below it.
func leaves(all map[string]bool) map[string]bool {
	parents := map[string]bool{}
	for name := range all {
		for at := strings.LastIndexByte(name, '/'); at > 0; at = strings.LastIndexByte(name[:at], '/') {
			parents[name[:at]] = true
		}
	}
	tests := map[string]bool{}
	for name, ok := range all {
		if !parents[name] {
			tests[name] = ok
		}
	}
	return tests
}

func anyFailed(tests map[string]bool) bool {
	for _, ok := range tests {
		if !ok {
			return true
		}
	}
	return false
}
