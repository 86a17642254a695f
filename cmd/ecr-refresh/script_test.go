package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ecr-refresh/dags"
	"ecr-refresh/integration/sandbox"
	"ecr-refresh/integration/sandbox/leaks"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // most of their time the scripts wait, for a retry
	testscript.Main(m, map[string]func(){
		"repeat":      repeat,
		"ecr-refresh": func() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// The command line, tested as a command line. Each script has a sandbox of its own and starts in the environment of a
// worker.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			box, err := sandbox.Start(sandbox.Options{})
			if err != nil {
				return err
			}
			env.Defer(func() { box.Close() })
			env.Values[sandboxKey{}] = box
			for _, v := range box.Environ() {
				if name, value, _ := strings.Cut(v, "="); name != "PATH" {
					env.Setenv(name, value)
				}
			}
			// testscript makes HOME=/no-home, which root could create.
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			man, err := filepath.Abs("../man.sh")
			env.Setenv("MAN", man)
			if err != nil {
				return err
			}
			return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o700)
		},
		// The commands of scripts, beside testscript's own.
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      with(1, script.exits),      // CODE ARG...: run ecr-refresh, which exits with CODE
			"peer":       with(1, script.peer),       // FAULT: make a service fail (see faults); "!": no longer
			"fails":      with(3, script.fails),      // CODE FAULT ARG...: as exits, while a service fails
			"failure":    with(2, script.failure),    // NAME [VARIABLE=VALUE | peer:FAULT | <RESULT]... ARG...
			"connection": with(2, script.connection), // ID FIELD=VALUE...: change one; ID gone: delete it
			"hand-over":  with(1, script.handOver),   // ID: set ECR_REFRESH_DOCKER_{HOST,LOGIN,…} for step 3
			"dag-run":    with(2, script.dagRun),     // ID AGE [FILE[,FILE] [dry|failed]]: of steps 2, 3, or failed
			"event":      with(3, script.event),      // EVENT OWNER EXTRA: an entry of Airflow's event log
			"dag":        with(1, script.dag),        // FILE, a JSON object: change fields of the DAG
			"found":      with(3, script.found),      // STATE NAME WORDS [HINT] [URL]: in stdout of doctor --json
			"pool":       with(1, script.pool),       // NAME [SLOTS]: add a pool of 5 slots, or SLOTS; 0: none
			"admin":      with(0, script.admin),      // set ECR_REFRESH_ADMIN_{LOGIN,PASSWORD}
			"account":    with(1, script.account),    // airflow-api's: see there
			"variable":   with(2, script.variable),   // KEY VALUE: store a Variable; KEY gone: delete it
			"stored":     with(3, script.stored),     // KIND ID FIELDS: is it stored in Airflow so?
			"published":  with(1, script.published),  // ID: is the stored password ECR's newest token?
			"no-secrets": with(0, script.noSecrets),  // no secret is in stdout, stderr or a file below $WORK
		},
	})
}

type sandboxKey struct{}

// script is one command of a script.
type script struct {
	*testscript.TestScript
	*sandbox.Sandbox
	not  bool // "!" stands before it
	args []string
}

func with(least int, run func(script)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, not bool, args []string) {
		if len(args) < least {
			ts.Fatalf("fewer than %d arguments", least)
		}
		run(script{ts, ts.Value(sandboxKey{}).(*sandbox.Sandbox), not, args})
	}
}

// faults are what the command "peer" can do to the sandbox.
func (s script) faults() map[string]func(on bool) {
	airflow := func(n, status int, retryAfter string) func(on bool) {
		return func(on bool) {
			if s.Airflow.Clear(); on {
				s.Airflow.FailNext(n, status, retryAfter)
			}
		}
	}
	role := func(role string, permissions ...string) func(on bool) {
		return func(on bool) {
			user, _ := s.Airflow.User("refresher")
			user.Role, user.Permissions = pick(on, role, "op"), pick(on, permissions, nil)
			s.Airflow.SetUser("refresher", user)
		}
	}
	return map[string]func(on bool){
		"ecr-denies":         s.ECR.Deny,
		"ecr-session-over":   s.ECR.ExpireSession,
		"ecr-throttles":      func(on bool) { s.ECR.Throttle(pick(on, 100, 0)) },
		"ecr-throttles-once": func(on bool) { s.ECR.Throttle(pick(on, 1, 0)) },
		"ecr-down":           s.ECR.SetDown,
		"ecr-blank-password": func(on bool) { s.ECR.SetPassword(pick(on, " ", "")) },
		"ecr-wrong-user":     func(on bool) { s.ECR.SetUsername(pick(on, "somebody", "AWS")) },
		"ecr-expired":        func(on bool) { s.ECR.SetLife(pick(on, -time.Second, 12*time.Hour)) },
		"registry-refuses":   s.Registry.Refuse,
		"registry-400":       func(on bool) { s.Registry.SetStatus(pick(on, 400, 0)) },
		"registry-500":       func(on bool) { s.Registry.SetStatus(pick(on, 500, 0)) },
		"registry-redirects": func(on bool) { s.Registry.SetStatus(pick(on, 307, 0)) },
		"registry-down":      s.Registry.SetDown,
		"airflow-down":       s.Airflow.SetDown,
		"airflow-503":        airflow(100, 503, ""),
		"airflow-503-once":   airflow(1, 503, ""),
		"airflow-busy":       airflow(100, 429, "3600"),
		"airflow-below-path": func(on bool) { s.Airflow.SetBasePath(pick(on, "/deploy/one", "")) },
		"viewer":             role("viewer"),
		"least-rights":       role("", "can_read on Connections", "can_edit on Connections"), // the README's
		"engine-down":        func(on bool) { _ = s.Engine.SetDown(on) },
	}
}

func pick[T any](on bool, yes, no T) T {
	if on {
		return yes
	}
	return no
}

func (s script) peer() {
	fault := s.faults()[s.args[0]]
	if fault == nil {
		s.Fatalf("unknown fault")
	}
	fault(!s.not)
}

func (s script) exits() {
	code := 0
	var failed *exec.ExitError
	if err := s.Exec("ecr-refresh", s.args[1:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		s.Check(err)
	}
	if strconv.Itoa(code) != s.args[0] {
		s.Fatalf("exit code is %d, want %s", code, s.args[0])
	}
}

// fails checks, too, that nothing is printed and the old password stays.
func (s script) fails() {
	with := func(not bool, args ...string) script { return script{s.TestScript, s.Sandbox, not, args} }
	with(false, s.args[1]).peer()
	with(false, append(s.args[:1:1], s.args[2:]...)...).exits()
	with(true, s.args[1]).peer()
	with(true, "docker_default").published()
	if out := s.ReadFile("stdout"); out != "" {
		s.Fatalf("stdout has %q", out)
	}
}

func (s script) connection() {
	id := s.args[0]
	conn, found := s.Airflow.Connection(id)
	if !found { // a new one is a copy of docker_default
		conn, _ = s.Airflow.Connection("docker_default")
		conn.ID = id
	}
	for _, arg := range s.args[1:] {
		field, value, _ := strings.Cut(arg, "=")
		if field != "port" {
			value = strconv.Quote(value)
		}
		s.Check(json.Unmarshal(fmt.Appendf(nil, "{%q:%s}", field, value), &conn))
	}
	if s.Airflow.SetConnection(conn); s.args[1] == "gone" {
		s.Airflow.DeleteConnection(id)
	}
}

// handOver sets, with --list ID..., ECR_REFRESH_DOCKER_SECRETS as the DAG renders it.
func (s script) handOver() {
	if s.args[0] != "--list" {
		for _, v := range s.TaskEnviron(s.args[0]) {
			name, value, _ := strings.Cut(v, "=")
			s.Setenv(name, value)
		}
		return
	}
	var list []map[string]any
	for _, id := range s.args[1:] {
		c, _ := s.Airflow.Connection(id)
		of := []map[string]any{{"connection_id": id, "conn_type": c.Type, "host": c.Host, "port": nil}}
		list = append(list, map[string]any{"login": c.Login, "password": c.Password, "connections": of})
	}
	text, err := json.Marshal(list)
	s.Check(err)
	s.Setenv("ECR_REFRESH_DOCKER_SECRETS", string(text))
}

func (s script) dagRun() {
	age, err := time.ParseDuration(s.args[1])
	s.Check(err)
	run := sandbox.DAGRun{ID: s.args[0], State: "failed", Start: time.Now().Add(-age), End: time.Now().Add(-age),
		XComs: map[string]any{}, Returned: time.Now()}
	if len(s.args) > 3 && s.args[3] == "dry" {
		run.Conf = map[string]any{"dry_run": true}
	}
	if len(s.args) > 2 {
		for i, file := range strings.Split(s.args[2], ",") {
			task := []string{"update_docker_connection", "test_docker_connection"}[i]
			run.XComs[task] = json.RawMessage(s.ReadFile(file))
		}
		if run.State = "success"; s.args[len(s.args)-1] == "failed" {
			run.State, run.End = "failed", time.Now()
		}
	}
	dag, _ := s.Airflow.DAG("refresh_docker_token_v4")
	dag.ID, dag.Source, dag.Runs = "refresh_docker_token_v4", dags.RefreshDockerToken, append(dag.Runs, run)
	s.Airflow.SetDAG(dag)
}

func (s script) event() {
	s.Airflow.AddEvent(sandbox.Event{Event: s.args[0], Owner: s.args[1], Extra: s.args[2]})
}

// dag changes the DAG; the JSON of a state or a time is that of package sandbox, and {ago:5m} a time.
func (s script) dag() {
	dag, _ := s.Airflow.DAG("refresh_docker_token_v4")
	dag.ID, dag.Runs, dag.Next = "refresh_docker_token_v4", nil, sandbox.DAGRun{}
	ago := regexp.MustCompile(`\{ago:(\w+)\}`)
	text := ago.ReplaceAllStringFunc(s.ReadFile(s.args[0]), func(found string) string {
		age, err := time.ParseDuration(ago.FindStringSubmatch(found)[1])
		s.Check(err)
		return time.Now().Add(-age).Format(time.RFC3339)
	})
	s.Check(json.Unmarshal([]byte(text), &dag))
	s.Airflow.SetDAG(dag)
}

// found looks for a finding: the words, hint and URL are regular expressions.
func (s script) found() {
	var all struct {
		Checks []struct{ State, Name, Message, Hint, URL string }
	}
	s.Check(json.Unmarshal([]byte(s.ReadFile("stdout")), &all))
	want, found := append(s.args, "", ""), false
	for _, c := range all.Checks {
		matches := func(i int, text string) bool { return regexp.MustCompile(want[i]).MatchString(text) }
		found = found || c.State == want[0] && c.Name == want[1] && matches(2, c.Message) && matches(3, c.Hint) &&
			matches(4, c.URL)
	}
	if found == s.not {
		s.Fatalf("found %+v", all.Checks)
	}
}

func (s script) pool() {
	slots, err := strconv.Atoi(append(s.args, "5")[1])
	s.Check(err)
	if s.Airflow.DeletePool(s.args[0]); slots > 0 {
		s.Airflow.SetPool(sandbox.Pool{Name: s.args[0], Slots: slots})
	}
}

func (s script) admin() {
	admin, _ := s.Airflow.User("admin")
	s.Setenv("ECR_REFRESH_ADMIN_LOGIN", "admin")
	s.Setenv("ECR_REFRESH_ADMIN_PASSWORD", admin.Password)
}

// account takes a NAME, and PERMISSION... (FAB's), or simple ROLE, or keycloak-user or keycloak-client PERMISSION...
func (s script) account() {
	name, permissions := s.args[0], append([]string{}, s.args[1:]...)
	user := sandbox.User{Password: "pass-of-" + name + "-4711", Permissions: permissions}
	switch {
	case len(permissions) == 2 && permissions[0] == "simple":
		user.Role, user.Permissions = permissions[1], nil
	case len(permissions) > 0 && strings.HasPrefix(permissions[0], "keycloak-"):
		user.Keycloak, user.Permissions = strings.TrimPrefix(permissions[0], "keycloak-"), permissions[1:]
	}
	s.Airflow.SetUser(name, user)
	s.Setenv("ECR_REFRESH_AIRFLOW_LOGIN", name)
	s.Setenv("ECR_REFRESH_AIRFLOW_PASSWORD", user.Password)
}

func (s script) variable() {
	if s.Airflow.SetVariable(sandbox.Variable{Key: s.args[0], Value: s.args[1]}); s.args[1] == "gone" {
		s.Airflow.DeleteVariable(s.args[0])
	}
}

func (s script) stored() {
	var got string
	switch kind, id := s.args[0], s.args[1]; kind {
	case "pool":
		p, _ := s.Airflow.Pool(id)
		got = strconv.Itoa(p.Slots)
	case "variable":
		v, _ := s.Airflow.Variable(id)
		got = regexp.MustCompile("^(age|AGE-SECRET-KEY-)1.*").ReplaceAllString(v.Value, "$1") // each is another
	case "connection":
		c, _ := s.Airflow.Connection(id)
		user, _ := s.Airflow.User(c.Login)
		password := c.Password != "" && c.Password == user.Password
		got = fmt.Sprintf("%s %s://%s@%s:%d password:%v", c.Type, c.Schema, c.Login, c.Host, c.Port, password)
		got = strings.TrimRight(got+" "+c.Extra, " ")
	}
	if got != s.args[2] {
		s.Fatalf("it is %q", got)
	}
}

func (s script) published() {
	conn, _ := s.Airflow.Connection(s.args[0])
	newest := s.ECR.LastToken().Password
	if published := newest != "" && conn.Password == newest; published == s.not {
		s.Fatalf("published is %v", published)
	}
}

func (s script) noSecrets() {
	conn, _ := s.Airflow.Connection("docker_default")
	user, _ := s.Airflow.User("refresher")
	secrets := leaks.Of(s.ECR.LastToken().Password, conn.Password, user.Password, s.ECR.Credentials().SecretAccessKey)
	shown := s.ReadFile("stdout") + "\n" + s.ReadFile("stderr")
	s.Check(filepath.WalkDir(s.Getenv("WORK"), func(path string, _ os.DirEntry, err error) error {
		text, _ := os.ReadFile(path) // a folder has none
		shown += "\n" + path + "\n" + string(text)
		return err
	}))
	if at := secrets.In(shown); at >= 0 {
		s.Fatalf("a secret is shown after %q", shown[:at])
	}
}
