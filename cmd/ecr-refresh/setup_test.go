package main

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"ecr-refresh/integration/sandbox"
)

// cmdAdmin gives setup the sandbox's admin.
func cmdAdmin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: admin")
	}
	admin, _ := boxOf(ts).Airflow.User("admin")
	ts.Setenv("ECR_REFRESH_ADMIN_LOGIN", "admin")
	ts.Setenv("ECR_REFRESH_ADMIN_PASSWORD", admin.Password)
}

// cmdAccount makes the account of airflow-api one of the SimpleAuthManager, with a role, or of FAB, with permissions.
func cmdAccount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: account NAME [simple ROLE | PERMISSION...]")
	}
	user := sandbox.User{Password: "pass-of-" + args[0] + "-4711", Permissions: append([]string{}, args[1:]...)}
	if len(args) == 3 && args[1] == "simple" {
		user.Role, user.Permissions = args[2], nil
	}
	boxOf(ts).Airflow.SetUser(args[0], user)
	ts.Setenv("ECR_REFRESH_AIRFLOW_LOGIN", args[0])
	ts.Setenv("ECR_REFRESH_AIRFLOW_PASSWORD", user.Password)
}

// cmdVariable stores a Variable, or with "gone" deletes it.
func cmdVariable(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case neg || len(args) != 2:
		ts.Fatalf("usage: variable KEY VALUE")
	case args[1] == "gone":
		boxOf(ts).Airflow.DeleteVariable(args[0])
	default:
		boxOf(ts).Airflow.SetVariable(sandbox.Variable{Key: args[0], Value: args[1]})
	}
}

// cmdStored compares what Airflow stores with what is wanted, given as its fields.
func cmdStored(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: stored pool|variable|connection ID FIELDS")
	}
	api := boxOf(ts).Airflow
	var got string
	switch args[0] {
	case "pool":
		p, _ := api.Pool(args[1])
		got = fmt.Sprint(p.Slots)
	case "variable":
		v, _ := api.Variable(args[1])
		got, _, _ = strings.Cut(v.Value, "1") // enough to tell an identity
		if !strings.HasPrefix(args[2], "age") && !strings.HasPrefix(args[2], "AGE") {
			got = v.Value
		}
	case "connection":
		c, _ := api.Connection(args[1])
		user, _ := api.User(c.Login)
		password := c.Password != "" && c.Password == user.Password
		got = fmt.Sprintf("%s %s://%s@%s:%d password:%v", c.Type, c.Schema, c.Login, c.Host, c.Port, password)
	}
	if got != args[2] {
		ts.Fatalf("%s %s is %q, want %q", args[0], args[1], got, args[2])
	}
}
