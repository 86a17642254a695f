// Command rusage runs a command and writes what it used to file descriptor 3, as one JSON object. It is small on
// purpose: Linux counts the memory of the process that starts another as that one's, up to its exec, so that a command
// started by a large process seems to be as large. What this one has itself, some 2 MiB, is the least that "memory" can
// be.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

func main() {
	report := os.NewFile(3, "report")
	syscall.CloseOnExec(3)
	if len(os.Args) < 2 || report == nil {
		os.Exit(2)
	}
	before := time.Now()
	process, err := os.StartProcess(os.Args[1], os.Args[1:],
		&os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	state, err := process.Wait()
	wall := time.Since(before) // by the monotonic clock
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	used := state.SysUsage().(*syscall.Rusage)
	fmt.Fprintf(report, `{"wall":%d,"cpu":%d,"memory":%d}`+"\n",
		wall, state.UserTime()+state.SystemTime(), bytes(used.Maxrss))
	os.Exit(state.ExitCode())
}

// bytes returns a maximum resident set in bytes: getrusage counts kibibytes, but bytes on macOS.
func bytes(maxrss int64) int64 {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return maxrss
	}
	return maxrss << 10
}
