// Package rights finds out what an account may do in Airflow.
package rights

import (
	"context"
	"crypto/rand"
	"errors"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/secret"
)

// UpdateConnections returns nil if the account may update connections. It tries that on a connection that does not
// exist: Airflow checks the right first.
func UpdateConnections(ctx context.Context, account *airflowclient.Client) error {
	id := "ecr_refresh_probe_" + rand.Text()
	probe := airflowclient.Update{ID: id, Type: "docker", Password: secret.New(rand.Text())}
	err := account.UpdateConnections(ctx, []airflowclient.Update{probe})[id]
	if errors.Is(err, airflowclient.ErrNotFound) {
		return nil
	}
	return err
}

// IsMissing reports whether err says that the account lacks a right.
func IsMissing(err error) bool {
	var e *airflowclient.Error
	return errors.As(err, &e) && e.Kind == airflowclient.Forbidden
}
