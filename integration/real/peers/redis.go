package peers

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// redis carries Celery's messages. All that passes through it stays in a file of its data folder, for the test to read.
type redis struct {
	dir      string
	port     int
	password string
	owner    *syscall.Credential
	proc     *process
}

const redisConfig = `bind 127.0.0.1
port %d
requirepass %s
dir %s
save ""
appendonly yes
auto-aof-rewrite-percentage 0
`

func newRedis(dir string) (*redis, error) {
	port, err := freePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	owner, err := credential("redis")
	return &redis{dir: filepath.Join(dir, "redis"), port: port, password: rand.Text(), owner: owner}, err
}

func (r *redis) url() string { return fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", r.password, r.port) }

func (r *redis) start(ctx context.Context) error {
	config := filepath.Join(r.dir, "redis.conf")
	text := fmt.Sprintf(redisConfig, r.port, r.password, r.dir)
	if err := makeOwned(r.owner, r.dir); err != nil {
		return err
	}
	if err := writeOwned(r.owner, config, []byte(text), 0o600); err != nil {
		return err
	}
	var err error
	if r.proc, err = startAs(r.owner, "redis", filepath.Dir(r.dir), cleanEnv(), "redis-server", config); err != nil {
		return err
	}
	return r.proc.ready(ctx, listening("tcp", fmt.Sprintf("127.0.0.1:%d", r.port)))
}

func (r *redis) stop() {
	if r.proc != nil {
		r.proc.stop()
	}
}

// makeOwned makes a folder that only owner can enter.
func makeOwned(owner *syscall.Credential, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, int(owner.Uid), int(owner.Gid))
}

// writeOwned writes a file that belongs to owner.
func writeOwned(owner *syscall.Credential, path string, text []byte, mode os.FileMode) error {
	if err := os.WriteFile(path, text, mode); err != nil {
		return err
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}
