// Package allsteps runs all three steps in one process.
package allsteps

import (
	"context"
	"ecr-refresh/airflowclient"
	"ecr-refresh/steps"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
	"strconv"
)

// Steps are the steps with their inputs, but for the results and the keys that each gets from the one before. The
// token is encrypted all the same, to a key pair that exists for this run only.
type Steps struct {
	Extract steps.ExtractECRToken
	Update  steps.UpdateDockerConnection
	Test    steps.TestDockerConnection
}

// Run runs the steps and returns the result of the last one.
func (a Steps) Run(ctx context.Context) (result xcom.TestDockerConnection, err error) {
	if a.Update.Identity, err = secret.NewIdentity(); err != nil {
		return result, err
	}
	a.Extract.Recipient = a.Update.Identity.Recipient()
	if a.Update.Input, err = a.Extract.Run(ctx); err != nil {
		return result, err
	}
	seen := &connectionsSeen{Airflow: a.Update.Airflow}
	a.Update.Airflow = seen
	if a.Test.Input, err = a.Update.Run(ctx); err != nil {
		return result, err
	}
	if err := a.addUnseen(seen.byID); err != nil {
		return result, err
	}
	return a.Test.Run(ctx)
}

// connectionsSeen remembers the connections that step 2 read, for step 3.
type connectionsSeen struct {
	steps.Airflow
	byID map[string]airflowclient.Connection
}

// ConnectionsByID implements steps.Airflow.
func (s *connectionsSeen) ConnectionsByID(
	ctx context.Context, ids []string,
) (map[string]airflowclient.Connection, map[string]error) {
	found, failed := s.Airflow.ConnectionsByID(ctx, ids)
	s.byID = found
	return found, failed
}

// addUnseen gives step 3 each connection that the environment does not have, made of what step 2 read and wrote.
func (a Steps) addUnseen(read map[string]airflowclient.Connection) error {
	tokens, err := secret.Decrypt(a.Update.Identity, a.Update.Input.Recipient, a.Update.Input.Sealed)
	if err != nil {
		return err
	}
	written := map[string]secret.Token{}
	for i, t := range tokens {
		for _, id := range a.Update.Input.Tokens[i].Connections {
			written[id] = t
		}
	}
	for _, updated := range a.Test.Input.Connections {
		id := updated.ConnectionID
		if _, found := a.Test.Connections[id]; found {
			continue
		}
		made := steps.DockerConnection{
			Host: read[id].Host, Login: written[id].Username, Password: written[id].Password, Assumed: true,
		}
		if read[id].Port != 0 {
			made.Port = strconv.Itoa(read[id].Port)
		}
		a.Test.Connections[id] = made
	}
	return nil
}
