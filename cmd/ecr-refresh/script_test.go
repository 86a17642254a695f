package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ecr-refresh/integration/sandbox"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ecr-refresh": func() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// The command line, tested as a command line. Each script has a sandbox of its own and starts in the environment of a
// worker. Beside testscript's commands there are:
//
//	exits CODE ARG...               run ecr-refresh, which must exit with CODE
//	[!] peer FAULT                  make a service fail, or well again: see faults
//	fails CODE FAULT ARG...         as exits, while a service fails: nothing is printed, and the old password stays
//	connection ID FIELD=VALUE...    change a stored connection, or with FIELD "gone" delete it
//	hand-over ID                    set ECR_REFRESH_DOCKER_{HOST,PORT,LOGIN,PASSWORD} for step 3
//	hand-over --list ID...          set ECR_REFRESH_DOCKER_SECRETS as the DAG renders it for step 3
//	dag-run ID AGE [FILE [dry]]     add a run of the DAG, so old, with FILE as step 2's result, or a failed one
//	pool NAME [SLOTS]               add a pool of 5 slots, or so many; 0 deletes it
//	admin                           set ECR_REFRESH_ADMIN_{LOGIN,PASSWORD}
//	account NAME PERMISSION...      make the account of airflow-api, with FAB's permissions, or "simple ROLE"
//	variable KEY VALUE              store a Variable, or with "gone" delete it
//	stored KIND ID FIELDS           is it stored in Airflow like this?
//	published ID                    is the stored password ECR's newest token?
//	no-secrets                      is none of the secrets in stdout, stderr or any file below $WORK?
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
			return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      cmdExits,
			"peer":       cmdPeer,
			"fails":      cmdFails,
			"connection": cmdConnection,
			"hand-over":  cmdHandOver,
			"dag-run":    cmdDAGRun,
			"pool":       cmdPool,
			"admin":      cmdAdmin,
			"account":    cmdAccount,
			"variable":   cmdVariable,
			"stored":     cmdStored,
			"published":  cmdPublished,
			"no-secrets": cmdNoSecrets,
		},
	})
}

type sandboxKey struct{}

func boxOf(ts *testscript.TestScript) *sandbox.Sandbox {
	return ts.Value(sandboxKey{}).(*sandbox.Sandbox)
}

// faults are what the scripts' command "peer" can do to the sandbox, and with "!" undo.
func faults(box *sandbox.Sandbox) map[string]func(on bool) {
	fail := func(on bool, n, status int, retryAfter string) {
		box.Airflow.Clear()
		if on {
			box.Airflow.FailNext(n, status, retryAfter)
		}
	}
	return map[string]func(on bool){
		"ecr-denies":         box.ECR.Deny,
		"ecr-session-over":   box.ECR.ExpireSession,
		"ecr-throttles":      func(on bool) { box.ECR.Throttle(pick(on, 100, 0)) },
		"ecr-throttles-once": func(on bool) { box.ECR.Throttle(pick(on, 1, 0)) },
		"ecr-down":           box.ECR.SetDown,
		"ecr-blank-password": func(on bool) { box.ECR.SetPassword(pick(on, " ", "")) },
		"ecr-wrong-user":     func(on bool) { box.ECR.SetUsername(pick(on, "somebody", "AWS")) },
		"ecr-expired":        func(on bool) { box.ECR.SetLife(pick(on, -time.Second, 12*time.Hour)) },
		"registry-refuses":   box.Registry.Refuse,
		"registry-400":       func(on bool) { box.Registry.SetStatus(pick(on, 400, 0)) },
		"registry-500":       func(on bool) { box.Registry.SetStatus(pick(on, 500, 0)) },
		"registry-redirects": func(on bool) { box.Registry.SetStatus(pick(on, 307, 0)) },
		"registry-down":      box.Registry.SetDown,
		"airflow-down":       box.Airflow.SetDown,
		"airflow-503":        func(on bool) { fail(on, 100, 503, "") },
		"airflow-503-once":   func(on bool) { fail(on, 1, 503, "") },
		"airflow-busy":       func(on bool) { fail(on, 100, 429, "3600") },
		"airflow-below-path": func(on bool) { box.Airflow.SetBasePath(pick(on, "/deploy/one", "")) },
		"viewer": func(on bool) {
			user, _ := box.Airflow.User("refresher")
			user.Role = pick(on, "viewer", "op")
			box.Airflow.SetUser("refresher", user)
		},
		"least-rights": func(on bool) { // FAB's, as the README makes them
			user, _ := box.Airflow.User("refresher")
			user.Role = pick(on, "", "op")
			user.Permissions = pick(on, []string{"can_read on Connections", "can_edit on Connections"}, nil)
			box.Airflow.SetUser("refresher", user)
		},
		"engine-down": func(on bool) { _ = box.Engine.SetDown(on) },
	}
}

func pick[T any](on bool, yes, no T) T {
	if on {
		return yes
	}
	return no
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARG...")
	}
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec("ecr-refresh", args[1:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || code != want {
		ts.Fatalf("exit code is %d, want %s", code, args[0])
	}
}

func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: fails CODE FAULT ARG...")
	}
	cmdPeer(ts, false, args[1:2])
	cmdExits(ts, false, append(args[:1:1], args[2:]...))
	cmdPeer(ts, true, args[1:2])
	cmdPublished(ts, true, []string{"docker_default"})
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout has %q", out)
	}
}

func cmdPeer(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || faults(boxOf(ts))[args[0]] == nil {
		ts.Fatalf("usage: peer FAULT")
	}
	faults(boxOf(ts))[args[0]](!neg)
}

func cmdConnection(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: connection ID FIELD=VALUE...")
	}
	api := boxOf(ts).Airflow
	conn, found := api.Connection(args[0])
	if !found { // a new one is a copy of docker_default
		conn, _ = api.Connection("docker_default")
		conn.ID = args[0]
	}
	for _, arg := range args[1:] {
		field, value, _ := strings.Cut(arg, "=")
		switch field {
		case "gone":
			api.DeleteConnection(args[0])
			return
		case "host":
			conn.Host = value
		case "login":
			conn.Login = value
		case "password":
			conn.Password = value
		case "type":
			conn.Type = value
		case "extra":
			conn.Extra = value
		case "port":
			port, err := strconv.Atoi(value)
			ts.Check(err)
			conn.Port = port
		default:
			ts.Fatalf("unknown field %q", field)
		}
	}
	api.SetConnection(conn)
}

func cmdHandOver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hand-over [--list] ID...")
	}
	box := boxOf(ts)
	if args[0] != "--list" {
		for _, v := range box.TaskEnviron(args[0]) {
			name, value, _ := strings.Cut(v, "=")
			ts.Setenv(name, value)
		}
		return
	}
	list := []map[string]any{}
	for _, id := range args[1:] {
		c, _ := box.Airflow.Connection(id)
		list = append(list, map[string]any{
			"login": c.Login, "password": c.Password,
			"connections": []map[string]any{{"connection_id": id, "host": c.Host, "port": nil}},
		})
	}
	text, err := json.Marshal(list)
	ts.Check(err)
	ts.Setenv("ECR_REFRESH_DOCKER_SECRETS", string(text))
}

func cmdDAGRun(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 4 {
		ts.Fatalf("usage: dag-run ID AGE [FILE [dry]]")
	}
	age, err := time.ParseDuration(args[1])
	ts.Check(err)
	run := sandbox.DAGRun{ID: args[0], State: "failed", Start: time.Now().Add(-age), End: time.Now().Add(-age)}
	if len(args) == 4 {
		run.Conf = map[string]any{"dry_run": true}
	}
	if len(args) > 2 {
		run.State = "success"
		run.XComs = map[string]any{"update_docker_connection": json.RawMessage(ts.ReadFile(args[2]))}
	}
	api := boxOf(ts).Airflow
	dag, _ := api.DAG("refresh_docker_token_v4")
	dag.ID, dag.Runs = "refresh_docker_token_v4", append(dag.Runs, run)
	api.SetDAG(dag)
}

func cmdPool(ts *testscript.TestScript, neg bool, args []string) {
	slots := 5
	switch {
	case neg || len(args) == 0 || len(args) > 2:
		ts.Fatalf("usage: pool NAME [SLOTS]")
	case len(args) == 2:
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		slots = n
	}
	if boxOf(ts).Airflow.DeletePool(args[0]); slots > 0 {
		boxOf(ts).Airflow.SetPool(sandbox.Pool{Name: args[0], Slots: slots})
	}
}

func cmdPublished(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: published ID")
	}
	conn, _ := boxOf(ts).Airflow.Connection(args[0])
	newest := boxOf(ts).ECR.LastToken().Password
	if published := newest != "" && conn.Password == newest; published == neg {
		ts.Fatalf("connection %s: published is %v", args[0], published)
	}
}

func cmdNoSecrets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: no-secrets")
	}
	box := boxOf(ts)
	conn, _ := box.Airflow.Connection("docker_default")
	user, _ := box.Airflow.User("refresher")
	secrets := []string{
		box.ECR.LastToken().Password, conn.Password, user.Password, box.ECR.Credentials().SecretAccessKey,
	}
	where := map[string]string{"stdout": ts.ReadFile("stdout"), "stderr": ts.ReadFile("stderr")}
	ts.Check(filepath.WalkDir(ts.Getenv("WORK"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			text, err := os.ReadFile(path)
			where[path] = string(text)
			return err
		}
		return err
	}))
	for name, text := range where {
		for i, secret := range secrets {
			if piece := secret[:min(24, len(secret))]; piece != "" && strings.Contains(text, piece) {
				ts.Fatalf("%s holds secret %d", name, i)
			}
		}
	}
}
