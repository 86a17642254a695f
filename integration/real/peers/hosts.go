package peers

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

const (
	hostsFile   = "/etc/hosts"
	hostsMarker = "# ecr-refresh integration, process "
)

// addHosts points names at ip in the hosts file, in a line that bears this process's id.
func addHosts(ip string, names ...string) error {
	line := fmt.Sprintf("%s %s %s%d\n", ip, strings.Join(names, " "), hostsMarker, os.Getpid())
	return editHosts(func(text string) string {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return text + line
	})
}

// removeHosts takes this process's lines out again.
func removeHosts() error {
	return editHosts(func(text string) string {
		return hostsLines(text, func(pid int) bool { return pid != os.Getpid() })
	})
}

// editHosts rewrites the hosts file in place (in a container it is a mount that nothing can replace), under a lock
// that keeps other runs out, and drops the lines of runs that died without doing so.
func editHosts(edit func(string) string) error {
	f, err := os.OpenFile(hostsFile, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", hostsFile, err)
	}
	old, err := os.ReadFile(hostsFile)
	if err != nil {
		return err
	}
	text := edit(hostsLines(string(old), alive))
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(text)))
}

// hostsLines returns text without the marked lines whose process keep rejects.
func hostsLines(text string, keep func(pid int) bool) string {
	marked := regexp.MustCompile(`(?m)^.*` + regexp.QuoteMeta(hostsMarker) + `(\d+)\n?`)
	return marked.ReplaceAllStringFunc(text, func(line string) string {
		pid, _ := strconv.Atoi(marked.FindStringSubmatch(line)[1])
		if keep(pid) {
			return line
		}
		return ""
	})
}

func alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
