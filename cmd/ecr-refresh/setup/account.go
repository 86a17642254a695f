package setup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/rights"
	"ecr-refresh/steps/failure"
)

// Account is what the account of connection airflow-api may do.
type Account struct {
	Login      string   `json:"login"`
	SimpleRole string   `json:"simple_role"` // "": another auth manager, which may have finer roles
	MayRead    []string `json:"may_also_read"`
	Commands   []string `json:"fab_role_commands"`
}

// checkAccount logs in and tries what the DAG does: read a connection, and update one that does not exist. Then it
// tries what the DAG never does.
func (s Setup) checkAccount(ctx context.Context) (a Account, err error) {
	a = Account{Login: s.Login, MayRead: []string{}, Commands: roleCommands(s.Login)}
	if a.SimpleRole, err = s.Account.SimpleRole(ctx); err != nil {
		return a, err
	}
	_, err = s.Account.Connection(ctx, names.DockerConnection)
	if err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
		return a, err
	}
	if err = rights.UpdateConnections(ctx, s.Account); err != nil {
		return a, err
	}
	_, variable := s.Account.Variable(ctx, names.AccountVariable)
	_, pool := s.Account.Pool(ctx, names.Pool)
	_, dag := s.Account.DAG(ctx, names.DAG)
	for i, err := range []error{variable, pool, dag} {
		kind := []string{"Variables", "Pools", "DAGs"}[i]
		if err == nil || errors.Is(err, airflowclient.ErrNotFound) {
			a.MayRead = append(a.MayRead, kind)
		} else if !failure.IsPermanent(err) {
			return a, fmt.Errorf("try to read %s: %w", kind, err)
		}
	}
	s.report(a)
	return a, nil
}

func (s Setup) report(a Account) {
	may := fmt.Sprintf("%q can log in, read and update connections", a.Login)
	switch {
	case a.SimpleRole == "admin":
		s.Log.Warn(may+", and do everything else: it is an admin", "hint", "role op is enough (SimpleAuthManager)")
	case a.SimpleRole != "":
		s.Log.Info(fmt.Sprintf("%s; its role %s may do more, and no smaller one is enough: the roles of the "+
			"SimpleAuthManager are fixed", may, a.SimpleRole))
	case len(a.MayRead) > 0:
		s.Log.Warn(fmt.Sprintf("%s, and read %s, which is not needed", may, strings.Join(a.MayRead, ", ")), "hint",
			"give it a role of its own, and no other: airflow users remove-role, and the printed commands")
	default:
		s.Log.Info(may + ", and nothing more was found")
	}
}
