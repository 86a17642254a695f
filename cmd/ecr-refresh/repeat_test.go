package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// repeat is a command of scripts: N ARG… runs the program N times in one process, and fails if goroutines or open
// files become more.
func repeat() {
	times, _ := strconv.Atoi(os.Args[1])
	args := append([]string{"ecr-refresh"}, os.Args[2:]...)
	const steady = 20 // what the program opens once
	before := opened()
	for range times {
		if exit := run(context.Background(), args, os.Stdin, io.Discard, os.Stderr); exit != 0 {
			os.Exit(exit)
		}
	}
	for end := time.Now().Add(30 * time.Second); opened() > before+steady; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) { // idle connections are closed after ten seconds
			fmt.Printf("%d goroutines and open files before %d runs, %d after them\n", before, times, opened())
			os.Exit(1)
		}
	}
}

// opened returns how many goroutines and open files there are.
func opened() int {
	files, _ := os.ReadDir("/proc/self/fd") // none on other systems
	return runtime.NumGoroutine() + len(files)
}

// A process that ran the steps again and again would not grow. RUNS sets how often.
func TestManyRunsInOneProcess(t *testing.T) {
	t.Parallel()
	runs := cmp.Or(os.Getenv("RUNS"), "30")
	env, _ := sandboxEnv(t)
	cmd := exec.CommandContext(t.Context(), "repeat", runs, "run", "--log-level", "error")
	cmd.Env = append(env, "SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nowhere")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %.1000s", err, out)
	}
}
