package setup

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

// Wanted is what Airflow shall have.
type Wanted struct {
	Registry        string // its host
	Account, Region string
	Targets         string // value of the Variable that replaces account and region, or ""
	BaseURL         string // of Airflow's API, without a slash at its end
	Login           string // of the account that the Airflow connection has
	Password        airflowclient.Secret
	KeyPair         bool // for encryption, where steps 1 and 2 may run on different hosts
}

// SetAccount sets account, region and the registry that they name.
func (w *Wanted) SetAccount(account, region string) error {
	host, err := ecr.NewHost(account, region, "", false, false)
	w.Account, w.Region, w.Registry = account, region, host.Name
	return err
}

// SetRegistry sets the registry, its account and its region. A registry that these two do not name needs Targets.
func (w *Wanted) SetRegistry(host string) error {
	named, err := ecr.ParseHost(host)
	if err != nil {
		return err
	}
	if err := w.SetAccount(named.Account, named.Region); err != nil || w.Registry != named.Name {
		text, _ := json.Marshal([]target.Entry{{ConnectionID: names.DockerConnection, Registry: named.Name}}) // strings
		w.Registry, w.Targets = named.Name, string(text)
	}
	return nil
}

// variables are the keys and values of those without secrets.
func (w Wanted) variables() [][2]string {
	if w.Targets != "" {
		return [][2]string{{names.TargetsVariable, w.Targets}}
	}
	return [][2]string{{names.AccountVariable, w.Account}, {names.RegionVariable, w.Region}}
}

// Commands returns the commands of Airflow's command line that create the same. Secrets come from the environment, or
// from a file.
func (w Wanted) Commands() []byte {
	var text strings.Builder
	login := shellWord(w.Login)
	if w.Login == "" {
		w.Login, login = "refresher", `"${`+names.AirflowPrefix+`LOGIN:-refresher}"`
	}
	fmt.Fprintf(&text, "airflow pools set %s %d %s\n", names.Pool, names.PoolSlots, shellWord(names.PoolUse))
	for _, v := range w.variables() {
		fmt.Fprintf(&text, "airflow variables set %s %s\n", v[0], shellWord(v[1]))
	}
	const add = "airflow connections add %s --conn-type %s --conn-host %s --conn-login %s"
	fmt.Fprintf(&text, add+" --conn-password \"$%sPASSWORD\"\n",
		names.AirflowConnection, "http", shellWord(w.BaseURL), login, names.AirflowPrefix)
	fmt.Fprintf(&text, add+"\n", names.DockerConnection, "docker", w.Registry, "AWS")
	if w.KeyPair {
		text.WriteString("(umask 077; ecr-refresh keygen --json >ecr_refresh_keys.json)\n" +
			"airflow variables import --action-on-existing-key fail ecr_refresh_keys.json; rm ecr_refresh_keys.json\n")
	}
	return []byte(text.String() + roleText(roleCommands(w.Login)))
}

// roleCommands create an account under FAB. The last one asks for the password.
func roleCommands(login string) []string {
	return []string{
		"airflow roles create ecr_refresh",
		"airflow roles add-perms ecr_refresh -r Connections -a can_read can_edit",
		"airflow users create --username " + shellWord(login) + " --role ecr_refresh" +
			" --firstname ECR --lastname refresh --email refresher@example.com",
	}
}

func roleText(commands []string) string {
	return "# a role with no more rights than the account of " + names.AirflowConnection +
		" needs (FAB auth manager):\n" + strings.Join(commands, "\n") + "\n"
}

// shellWord quotes text for a POSIX shell, where that is needed.
func shellWord(text string) string {
	if regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`).MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
