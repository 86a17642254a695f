package setup

import (
	"fmt"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
)

// Wanted is what Airflow shall have.
type Wanted struct {
	Registry  string      // its host
	Variables [][2]string // keys and values, which are no secrets
	BaseURL   string      // of Airflow's API, without a slash at its end
	Login     string      // of the account that the Airflow connection has
	Password  airflowclient.Secret
	KeyPair   bool // for encryption, where steps 1 and 2 may run on different hosts
}

// Commands returns the commands of Airflow's command line that create the same, and those that create the account under
// FAB. Secrets come from the environment, from a file, or from who is asked.
func (w Wanted) Commands() []byte {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("airflow pools set %s %d %s", names.Pool, names.PoolSlots, quoted(names.PoolUse))
	for _, v := range w.Variables {
		line("airflow variables set %s %s", v[0], quoted(v[1]))
	}
	login := `"${` + names.AirflowPrefix + `LOGIN:-refresher}"`
	if w.Login != "" {
		login = quoted(w.Login)
	}
	line("airflow connections add %s --conn-type http --conn-host %s --conn-login %s --conn-password \"$%sPASSWORD\"",
		names.AirflowConnection, quoted(w.BaseURL), login, names.AirflowPrefix)
	line("airflow connections add %s --conn-type docker --conn-host %s --conn-login AWS",
		names.DockerConnection, w.Registry)
	if w.KeyPair {
		line("(umask 077; ecr-refresh keygen --json >ecr_refresh_keys.json)")
		line("airflow variables import --action-on-existing-key fail ecr_refresh_keys.json; rm ecr_refresh_keys.json")
	}
	line("# a role with no more rights than the account of %s needs (FAB auth manager):", names.AirflowConnection)
	line("airflow roles create ecr_refresh")
	line("airflow roles add-perms ecr_refresh -r Connections -a can_read can_edit")
	line("airflow users create --username %s --role ecr_refresh --firstname ECR --lastname refresh "+
		"--email refresher@example.com", login)
	return []byte(text.String())
}

// quoted returns text as one word of a POSIX shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
