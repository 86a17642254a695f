package main

import (
	"ecr-refresh/cmd/ecr-refresh/names"
	"fmt"
	"regexp"
	"strings"
)

const roleComment = "# a role with no more rights than the account of airflow-api needs (FAB auth manager):\n"

// roleCommands make the account of airflow-api under FAB. The last one asks for the password.
func roleCommands(login string) []string {
	return []string{
		"airflow roles create ecr_refresh",
		"airflow roles add-perms ecr_refresh -r Connections -a can_read can_edit",
		"airflow users create --username " + shellWord(login) + " --role ecr_refresh" +
			" --firstname ECR --lastname refresh --email refresher@example.com",
	}
}

// commandLines are the commands that make the same as setup. Secrets come from the environment, or from a file.
func (w wanted) commandLines() []byte {
	api := w.airflow
	login, password := shellWord(api.Login), `"$`+names.AirflowPrefix+`PASSWORD"`
	if api.Login == "" {
		api.Login, login = "refresher", `"${`+names.AirflowPrefix+`LOGIN:-refresher}"`
	}
	connection := "airflow connections add " + api.ID + " --conn-type " + api.Type
	if api.Schema != "" {
		connection += " --conn-schema " + api.Schema
	}
	connection += " --conn-host " + shellWord(api.Host)
	if api.Port != 0 {
		connection += fmt.Sprintf(" --conn-port %d", api.Port)
	}
	lines := []string{fmt.Sprintf("airflow pools set %s %d %s", poolName, poolSlots, shellWord(poolUse))}
	for _, v := range w.variables() {
		lines = append(lines, "airflow variables set "+v[0]+" "+shellWord(v[1]))
	}
	lines = append(lines, connection+" --conn-login "+login+" --conn-password "+password,
		"airflow connections add "+names.DockerConnection+" --conn-type docker --conn-host "+w.host+" --conn-login AWS")
	if w.identity {
		lines = append(lines, "(umask 077; ecr-refresh keygen --json >ecr_refresh_keys.json)",
			"airflow variables import --action-on-existing-key fail ecr_refresh_keys.json; rm ecr_refresh_keys.json")
	}
	return []byte(strings.Join(lines, "\n") + "\n" + roleComment + strings.Join(roleCommands(api.Login), "\n") + "\n")
}

// shellWord quotes text for a POSIX shell, where it has to be.
func shellWord(text string) string {
	if regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`).MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
