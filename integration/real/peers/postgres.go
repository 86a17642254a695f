package peers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// postgres holds Airflow's database. On SQLite, two calls of Airflow's API that write at the same time can block each
// other until one fails: no ground for tests that run side by side.
type postgres struct {
	bin, dir string
	port     int
	password string
	owner    *syscall.Credential // PostgreSQL does not run as root
	proc     *process
}

func newPostgres(dir string) (*postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	port, err := freePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	owner, err := credential("postgres")
	return &postgres{
		bin: bin, dir: filepath.Join(dir, "postgres"), port: port, password: rand.Text(), owner: owner,
	}, err
}

// postgresBin returns the folder of the newest PostgreSQL that Debian's packages have installed.
func postgresBin() (string, error) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		return "", errors.New("no PostgreSQL under /usr/lib/postgresql")
	}
	return slices.Max(bins), nil
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// url is the database as SQLAlchemy names it; driver is psycopg2 or asyncpg.
func (p *postgres) url(driver string) string {
	return fmt.Sprintf("postgresql+%s://airflow:%s@127.0.0.1:%d/postgres", driver, p.password, p.port)
}

// dsn is the database as libpq names it.
func (p *postgres) dsn() string {
	return fmt.Sprintf("postgresql://airflow:%s@127.0.0.1:%d/postgres", p.password, p.port)
}

func (p *postgres) start(ctx context.Context) error {
	if err := p.create(ctx); err != nil {
		return fmt.Errorf("make a PostgreSQL database: %w", err)
	}
	var err error
	p.proc, err = startAs(p.owner, "postgres", filepath.Dir(p.dir), cleanEnv(),
		filepath.Join(p.bin, "postgres"), "-D", filepath.Join(p.dir, "data"), "-k", p.dir, "-h", "127.0.0.1", "-p",
		strconv.Itoa(p.port),
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "max_connections=200")
	if err != nil {
		return err
	}
	return p.proc.ready(ctx, p.accepts)
}

// create writes the password and makes an empty database that demands it.
func (p *postgres) create(ctx context.Context) error {
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(p.dir, "password")
	if err := os.WriteFile(file, []byte(p.password), 0o600); err != nil {
		return err
	}
	for _, path := range []string{p.dir, file} {
		if err := os.Chown(path, int(p.owner.Uid), int(p.owner.Gid)); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "initdb"), "-D", filepath.Join(p.dir, "data"),
		"-U", "airflow", "--pwfile", file, "-A", "scram-sha-256", "-E", "UTF8", "--no-sync", "--no-instructions")
	cmd.Env, cmd.Dir, cmd.SysProcAttr = cleanEnv(), p.dir, &syscall.SysProcAttr{Credential: p.owner}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (p *postgres) accepts(ctx context.Context) error {
	_, err := run(ctx, cleanEnv(), filepath.Join(p.bin, "pg_isready"), "-q", "-d", p.dsn())
	return err
}

// dump returns the whole database as text, with what is readable in its bytes left so.
func (p *postgres) dump(ctx context.Context) (string, error) {
	return run(ctx, cleanEnv("PGOPTIONS=-c bytea_output=escape"), filepath.Join(p.bin, "pg_dump"), "--dbname="+p.dsn())
}

func (p *postgres) stop() {
	if p.proc != nil {
		p.proc.stop()
	}
}
