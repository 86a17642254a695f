package steps

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// Why step 2 updates nothing. The fact Object of the last three is the connection, and Want the host of its registry.
const (
	OldResult    failure.Kind = "result is too old"
	BadToken     failure.Kind = "token is none that ecr issues"
	HostMismatch failure.Kind = "connection is to another registry"
	HostNotBare  failure.Kind = "connection host is more than a name"
	NotOfDocker  failure.Kind = "connection is not of type docker"
)

// UpdateDockerConnection sets the password of Airflow's connections to the tokens of step 1, and changes nothing else.
// It never replaces a password that works by one that its registry did not accept.
type UpdateDockerConnection struct {
	Input    xcom.ExtractECRToken
	Identity secret.Identity
	MaxAge   time.Duration // rejects older tokens: a newer run may have updated the connections since
	DryRun   bool          // check everything, update nothing

	Airflow  *airflowclient.Client
	Registry *registry.Client
	Now      func() time.Time
	Log      *slog.Logger

	After map[string]DockerConnection // gets the connections, by id, as tasks should read them, unless it is nil
}

// Run returns what was updated. It succeeds when any connection was updated, and the result carries other failures.
func (s UpdateDockerConnection) Run(ctx context.Context) (xcom.UpdateDockerConnection, error) {
	tokens, err := s.decrypt()
	if err != nil {
		return xcom.UpdateDockerConnection{}, err
	}
	defer s.Airflow.Logout(ctx)
	var ids []string
	for _, t := range tokens {
		ids = append(ids, t.connections...)
	}
	var found map[string]airflowclient.Connection
	var failed map[string]error // by connection
	var read sync.WaitGroup     // Airflow and the registries are asked at once
	read.Go(func() { found, failed = s.Airflow.ConnectionsByID(ctx, ids) })
	checkAll(ctx, s.Registry, s.Log, tokens) // anyone who knows the public key can encrypt a token, and time has passed
	read.Wait()
	var updates []airflowclient.Update
	for _, t := range tokens {
		for _, id := range t.connections {
			if t.err != nil || failed[id] != nil {
				continue
			}
			update, err := s.prepare(id, found[id], t.token)
			if failed[id] = err; err == nil {
				updates = append(updates, update)
			}
			if s.After != nil {
				s.After[id] = assumed(found[id], t.token)
			}
		}
	}
	if !s.DryRun {
		maps.Copy(failed, s.Airflow.UpdateConnections(ctx, updates))
	}
	return s.result(tokens, failed)
}

// decrypt checks that what the result shows of the tokens is what it holds encrypted, and how old they are.
func (s UpdateDockerConnection) decrypt() (all []*issued, err error) {
	const check = "check result of extract_ecr_token: "
	tokens, err := secret.Decrypt(s.Identity, s.Input.Recipient, s.Input.Sealed, len(s.Input.Tokens))
	if err != nil {
		return nil, err
	}
	same := func(t secret.Token, shown xcom.Token) bool { return t.TokenInfo == shown.TokenInfo }
	if !slices.EqualFunc(tokens, s.Input.Tokens, same) {
		return nil, failure.Permanent(secret.Damaged, check+"what it shows is not what was encrypted: it was altered")
	}
	for i, t := range tokens {
		if err := t.Check(s.Now()); err != nil {
			return nil, failure.Permanent(BadToken, check+"its token is not of ECR: %w", err)
		}
		if age := s.Now().Sub(t.IssuedAt); age > s.MaxAge {
			const form = check + "its token is %s old, over the limit of %s: a newer run may have updated since"
			return nil, failure.Permanent(OldResult, form, age.Round(time.Second), s.MaxAge)
		}
		all = append(all, &issued{token: t, connections: s.Input.Tokens[i].Connections})
	}
	return all, nil
}

// prepare returns what to send for a connection: exactly id, type and password, and the login if it differs. It rejects
// a connection to another registry, and one of another type, whose host may be a secret.
func (s UpdateDockerConnection) prepare(
	id string, conn airflowclient.Connection, t secret.Token,
) (airflowclient.Update, error) {
	update := airflowclient.Update{ID: id, Type: conn.Type.Raw(), Password: t.Password}
	if update.Type != "docker" {
		return update, failure.Permanent(NotOfDocker, "its type is %q, not docker", conn.Type).About(id)
	}
	if want := registry.Host(t.RegistryURL); registry.Host(conn.Host.Raw()) != want {
		kind, form := HostMismatch, "its host is %q, and the token is for %q"
		if registry.IsIn(conn.Host.Raw(), want) {
			kind, form = HostNotBare, "its host is %q, not %q alone"
		}
		return update, failure.Permanent(kind, form, conn.Host, want).About(id).Want(want)
	}
	if conn.Login.Raw() != t.Username {
		s.Log.Info(fmt.Sprintf("connection %q: login %q becomes %q", id, conn.Login, t.Username))
		update.Login = t.Username
	}
	return update, nil
}

func (s UpdateDockerConnection) result(tokens []*issued, failed map[string]error) (xcom.UpdateDockerConnection, error) {
	result := xcom.UpdateDockerConnection{Head: xcom.NewHead(xcom.StepUpdateDockerConnection)}
	result.Failures = append([]xcom.Failure{}, s.Input.Failures...)
	var errs []error
	for _, t := range tokens {
		for _, id := range t.connections {
			err := t.err
			if err == nil && failed[id] != nil {
				err = fmt.Errorf("update connection %q: %w", id, failed[id])
			}
			if err == nil {
				result.Connections = append(result.Connections, s.updated(id, t.token))
				continue
			}
			errs = append(errs, err)
			result.Failures = append(result.Failures, t.failure(result.Step, id, err))
		}
	}
	return result, verdict(s.Log, len(result.Connections), errs)
}

func (s UpdateDockerConnection) updated(id string, t secret.Token) xcom.Updated {
	done, until := xcom.Updated{ConnectionID: id, TokenInfo: t.TokenInfo}, t.ExpiresAt.Format(time.RFC3339)
	if s.DryRun {
		s.Log.Info(fmt.Sprintf("dry run: connection %q would get the token that is valid until %s", id, until))
		return done
	}
	at := s.Now().UTC().Truncate(time.Second)
	done.Published, done.PublishedAt = true, &at
	s.Log.Info(fmt.Sprintf("connection %q has the new token, valid until %s", id, until))
	return done
}
