package peers

import (
	"context"
	"errors"
	"os"
	"os/user"
	"regexp"
	"strconv"
)

const (
	usersFile  = "/etc/passwd"
	userPrefix = "ecr-worker-" // then the id of this process, and the worker's name
)

// UserName is the OS user of a worker of this process.
func UserName(worker string) string { return userPrefix + strconv.Itoa(os.Getpid()) + "-" + worker }

// addUser makes an OS user, who may speak to the Docker Engine where Debian's group for that exists.
func addUser(ctx context.Context, name, home string) error {
	argv := []string{"useradd", "--system", "--user-group", "--no-create-home",
		"--home-dir", home, "--shell", "/bin/sh", name}
	if _, err := user.LookupGroup("docker"); err == nil {
		argv = append(argv, "--groups", "docker")
	}
	_, err := run(ctx, cleanEnv(), argv...)
	return err
}

// removeUsers removes the users of this process, and of those that died without doing so.
func removeUsers(ctx context.Context) error {
	text, err := os.ReadFile(usersFile)
	if err != nil {
		return err
	}
	var failures []error
	users := regexp.MustCompile(`(?m)^(` + userPrefix + `(\d+)-\w+):`)
	for _, found := range users.FindAllStringSubmatch(string(text), -1) {
		if pid, _ := strconv.Atoi(found[2]); pid == os.Getpid() || !alive(pid) {
			_, err := run(ctx, cleanEnv(), "userdel", found[1])
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}
