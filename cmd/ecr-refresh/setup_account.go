package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// rights are what the account of airflow-api may do. Under the SimpleAuthManager they are those of its role.
type rights struct {
	Login      string   `json:"login"`
	SimpleRole string   `json:"simple_role"` // "": another auth manager, which may know finer roles
	MayRead    []string `json:"may_also_read"`
	Commands   []string `json:"fab_role_commands"`
}

// checkAccount logs in as the account and tries what the DAG does: read a connection, and update one that does not exist.
// Then it tries what the DAG never does.
func (s *setup) checkAccount(ctx context.Context) (rights, error) {
	login := s.want.airflow.Login
	r := rights{Login: login, MayRead: []string{}, Commands: roleCommands(login)}
	var err error
	if r.SimpleRole, err = s.account.SimpleRole(ctx); err != nil {
		return r, err
	}
	if _, err := s.account.Connection(ctx, names.DockerConnection); err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
		return r, err
	}
	if err := s.mayUpdate(ctx); err != nil {
		return r, err
	}
	if r.MayRead, err = s.mayRead(ctx); err == nil {
		s.tellRights(r)
	}
	return r, err
}

// mayUpdate updates a connection whose random id nobody has. Airflow asks for the right first, then skips what is missing.
func (s *setup) mayUpdate(ctx context.Context) error {
	id := "ecr-refresh-setup-" + rand.Text()
	probe := airflowclient.Update{ID: id, Type: "docker", Password: secret.New(rand.Text())}
	err := s.account.UpdateConnections(ctx, []airflowclient.Update{probe})[id]
	if errors.Is(err, airflowclient.ErrNotFound) {
		return nil
	}
	return err
}

// mayRead gives what the account may read without need.
func (s *setup) mayRead(ctx context.Context) ([]string, error) {
	found := []string{}
	for _, kind := range []struct {
		name string
		read func() error
	}{
		{"Variables", func() error { _, err := s.account.Variable(ctx, accountKey); return err }},
		{"Pools", func() error { _, err := s.account.Pool(ctx, poolName); return err }},
		{"DAGs", func() error { _, err := s.account.DAG(ctx, "refresh_docker_token_v4"); return err }},
	} {
		switch err := kind.read(); {
		case err == nil || errors.Is(err, airflowclient.ErrNotFound):
			found = append(found, kind.name)
		case !failure.IsPermanent(err):
			return found, fmt.Errorf("try to read %s: %w", kind.name, err)
		}
	}
	return found, nil
}

func (s *setup) tellRights(r rights) {
	may := fmt.Sprintf("%q can log in, read and update connections", r.Login)
	switch {
	case r.SimpleRole == "admin":
		s.Log.Warn(may+", and do everything else: it is an admin", "hint", "role op is enough (SimpleAuthManager)")
	case r.SimpleRole != "":
		s.Log.Info(fmt.Sprintf("%s; its role %s may do more, and no smaller one is enough: the roles of the SimpleAuthManager are fixed", may, r.SimpleRole))
	case len(r.MayRead) > 0:
		s.Log.Warn(fmt.Sprintf("%s, and read %s, which it need not", may, strings.Join(r.MayRead, ", ")),
			"hint", "give it a role of its own, and no other: airflow users remove-role, and the commands that are printed")
	default:
		s.Log.Info(may + ", and no more was found")
	}
}
