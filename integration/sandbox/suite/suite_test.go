package suite

import (
	"os"
	"sync"
	"testing"

	"ecr-refresh/integration/sandbox"
)

// TestSuite runs the cases on stand-ins.
func TestSuite(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, box.Close()) })
	Run(t, standIns{box}, binary(t))
}

// program is the binary of all tests, built once.
var program struct {
	dir   string
	build func() (string, error)
}

func TestMain(m *testing.M) {
	var err error
	if program.dir, err = os.MkdirTemp("", "ecr-refresh-suite-"); err != nil {
		panic(err)
	}
	program.build = sync.OnceValues(func() (string, error) { return Build(program.dir) })
	code := m.Run()
	_ = os.RemoveAll(program.dir)
	os.Exit(code)
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := program.build()
	must(t, err)
	return path
}

// standIns is a sandbox as a site.
type standIns struct{ *sandbox.Sandbox }

func (s standIns) As(role string) []string {
	user, _ := s.Airflow.User(role)
	if role == "wrong" {
		return []string{"ECR_REFRESH_AIRFLOW_PASSWORD=wrong"}
	}
	return []string{"ECR_REFRESH_AIRFLOW_LOGIN=" + role, "ECR_REFRESH_AIRFLOW_PASSWORD=" + user.Password}
}

// Rejected makes the registry reject one call.
func (s standIns) Rejected() []string {
	s.Registry.Inject(sandbox.Fault{Times: 1, Status: 403, Body: "no"})
	return nil
}

func (s standIns) Host() string { return s.RegistryHost() }

func (s standIns) Issued() string { return s.ECR.LastToken().Password }

func (s standIns) Connect(_ *testing.T, id, host, secret string) {
	conn, _ := s.Airflow.Connection("docker_default")
	conn.ID, conn.Host, conn.Password = id, host, secret
	s.Airflow.SetConnection(conn)
}

func (s standIns) Password(_ *testing.T, id string) string {
	conn, _ := s.Airflow.Connection(id)
	return conn.Password
}

func (s standIns) StopEngine(t *testing.T) { must(t, s.Engine.SetDown(true)) }

func (s standIns) StartEngine(t *testing.T) { must(t, s.Engine.SetDown(false)) }
