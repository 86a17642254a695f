package steps

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// UpdateDockerConnection puts the tokens of document 1 into Airflow's connections: each as the password, and nothing
// else is touched. A password that works is never replaced by one that was not seen to work.
type UpdateDockerConnection struct {
	Document xcom.ExtractECRToken
	Identity secret.Identity
	MaxAge   time.Duration // an older document is refused: a newer run may have published since
	DryRun   bool          // check all, publish nothing

	Airflow  Airflow
	Registry *registry.Client
	Now      func() time.Time
	Log      *slog.Logger
}

// Airflow is the part of Airflow's REST API that step 2 uses; *airflowclient.Client has it.
type Airflow interface {
	ConnectionsByID(ctx context.Context, ids []string) (map[string]airflowclient.Connection, map[string]error)
	UpdateConnections(ctx context.Context, updates []airflowclient.Update) map[string]error
	Logout(ctx context.Context) error
}

// renewal is one connection and the token that it is to get.
type renewal struct {
	id    string
	token secret.Token
}

// Run gives document 2. With several connections it succeeds when any was updated, and carries the failures of the others.
func (s UpdateDockerConnection) Run(ctx context.Context) (xcom.UpdateDockerConnection, error) {
	tokens, err := s.open()
	if err != nil {
		return xcom.UpdateDockerConnection{}, err
	}
	result := &results{doc: xcom.NewUpdateDockerConnection(), log: s.Log}
	result.doc.Failures = append(result.doc.Failures, s.Document.Failures...)
	defer s.logout(ctx)
	seen := s.read(ctx)
	renewals := s.checkTokens(ctx, tokens, result)
	updates := s.prepare(renewals, seen(), result)
	s.publish(ctx, renewals, updates, result)
	return result.done()
}

// open checks the document's age and seal, and that what it shows in clear is what it sealed.
func (s UpdateDockerConnection) open() ([]secret.Token, error) {
	if err := s.checkAge(); err != nil {
		return nil, err
	}
	tokens, err := secret.Decrypt(s.Identity, s.Document.Recipient, s.Document.Sealed)
	if err != nil {
		return nil, err
	}
	if len(tokens) != len(s.Document.Tokens) {
		return nil, failure.Permanent(hintDownstream, "open seal: it holds %d tokens, and the document shows %d", len(tokens), len(s.Document.Tokens))
	}
	for i, t := range tokens {
		if shown := s.Document.Tokens[i]; t.RegistryURL != shown.RegistryURL || t.Username != shown.Username || t.Fingerprint() != shown.Fingerprint ||
			!t.IssuedAt.Equal(shown.IssuedAt) || !t.ExpiresAt.Equal(shown.ExpiresAt) {
			return nil, failure.Permanent(hintDownstream, "open seal: tokens[%d] is not what the document shows: it was altered", i)
		}
	}
	return tokens, nil
}

func (s UpdateDockerConnection) checkAge() error {
	for _, t := range s.Document.Tokens {
		if age := s.Now().Sub(t.IssuedAt); age > s.MaxAge {
			return failure.Permanent(hintDownstream,
				"check document of extract_ecr_token: its token is %s old, over the limit of %s (--max-age): a newer run may have published since",
				age.Round(time.Second), s.MaxAge)
		}
	}
	return nil
}

// read logs in to Airflow and reads the connections, while the registries are asked. The function that it gives waits for
// them.
func (s UpdateDockerConnection) read(ctx context.Context) func() connections {
	var ids []string
	for _, t := range s.Document.Tokens {
		ids = append(ids, t.Connections...)
	}
	done := make(chan connections, 1)
	go func() {
		found, failed := s.Airflow.ConnectionsByID(ctx, ids)
		done <- connections{found, failed}
	}()
	return func() connections { return <-done }
}

// connections are those of Airflow's database, or why not, by id.
type connections struct {
	found  map[string]airflowclient.Connection
	failed map[string]error
}

// checkTokens asks each registry again: anyone who knows the recipient can make a seal, and time has passed.
func (s UpdateDockerConnection) checkTokens(ctx context.Context, tokens []secret.Token, result *results) (renewals []renewal) {
	refused := make([]error, len(tokens))
	var checks errgroup.Group
	checks.SetLimit(concurrency)
	for i, t := range tokens {
		checks.Go(func() error {
			refused[i] = s.Registry.Check(ctx, t.RegistryURL, t.Username, t.Password)
			return nil
		})
	}
	_ = checks.Wait()
	for i, t := range tokens {
		if refused[i] == nil {
			s.Log.Info(fmt.Sprintf("%s accepts the token", registry.Host(t.RegistryURL)))
		}
		for _, id := range s.Document.Tokens[i].Connections {
			if refused[i] != nil {
				result.fail(renewal{id, t}, refused[i])
				continue
			}
			renewals = append(renewals, renewal{id, t})
		}
	}
	return renewals
}

// prepare decides what to send for each connection: exactly id, type and password, and the login if it differs.
func (s UpdateDockerConnection) prepare(renewals []renewal, seen connections, result *results) []airflowclient.Update {
	var updates []airflowclient.Update
	for _, r := range renewals {
		conn, err := seen.found[r.id], seen.failed[r.id]
		if err == nil {
			err = s.checkConnection(conn, r.token)
		}
		if err != nil {
			result.fail(r, fmt.Errorf("update connection %q: %w", r.id, err))
			continue
		}
		update := airflowclient.Update{ID: r.id, Type: conn.Type, Password: r.token.Password}
		if conn.Login != r.token.Username {
			s.Log.Info(fmt.Sprintf("connection %q: its login %q becomes %q", r.id, failure.Said(conn.Login), r.token.Username))
			update.Login = r.token.Username
		}
		updates = append(updates, update)
	}
	return updates
}

// checkConnection refuses a connection of another registry, and warns of what makes docker-py miss the fresh login.
func (s UpdateDockerConnection) checkConnection(conn airflowclient.Connection, t secret.Token) error {
	if host := registry.Host(conn.Host); host != registry.Host(t.RegistryURL) {
		return failure.Permanent(failure.Kind(fmt.Sprintf("set the connection's host to %s, or list another connection", registry.Host(t.RegistryURL))),
			"its host is %q, and the token is for %q", failure.Said(conn.Host), registry.Host(t.RegistryURL))
	}
	if conn.Host != registry.Host(t.RegistryURL) || conn.Port != 0 {
		s.Log.Warn(fmt.Sprintf("connection %q: its host should be %s alone, with no scheme, path or port: docker-py may not find the login otherwise", conn.ID, registry.Host(t.RegistryURL)))
	}
	if conn.Type != "docker" {
		s.Log.Warn(fmt.Sprintf("connection %q is of type %q, not docker", conn.ID, failure.Said(conn.Type)))
	}
	return nil
}

func (s UpdateDockerConnection) publish(ctx context.Context, renewals []renewal, updates []airflowclient.Update, result *results) {
	sent := map[string]bool{}
	for _, u := range updates {
		sent[u.ID] = true
	}
	var failed map[string]error
	if !s.DryRun && len(updates) > 0 {
		failed = s.Airflow.UpdateConnections(ctx, updates)
	}
	for _, r := range renewals {
		switch {
		case !sent[r.id]:
		case failed[r.id] != nil:
			result.fail(r, fmt.Errorf("update connection %q: %w", r.id, failed[r.id]))
		default:
			result.add(r, s.DryRun, s.Now())
		}
	}
}

// logout is best effort, also after SIGTERM: the JWT dies by itself in a day.
func (s UpdateDockerConnection) logout(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
	defer cancel()
	if err := s.Airflow.Logout(ctx); err != nil {
		s.Log.Debug("revoke Airflow's JWT: " + err.Error())
	}
}

// results gathers document 2 and the errors behind its failures.
type results struct {
	doc    xcom.UpdateDockerConnection
	errors []error
	log    *slog.Logger
}

func (r *results) add(t renewal, dry bool, now time.Time) {
	done := xcom.Published{
		ConnectionID: t.id,
		RegistryURL:  t.token.RegistryURL,
		Username:     t.token.Username,
		IssuedAt:     t.token.IssuedAt,
		ExpiresAt:    t.token.ExpiresAt,
		Fingerprint:  t.token.Fingerprint(),
	}
	until := t.token.ExpiresAt.Format(time.RFC3339)
	if dry {
		r.log.Info(fmt.Sprintf("dry run: connection %q would get the token that is good until %s", t.id, until))
	} else {
		at := now.UTC().Truncate(time.Second)
		done.Published, done.PublishedAt = true, &at
		r.log.Info(fmt.Sprintf("connection %q has the new token, good until %s", t.id, until))
	}
	r.doc.Connections = append(r.doc.Connections, done)
}

func (r *results) fail(t renewal, err error) {
	r.errors = append(r.errors, err)
	r.doc.Failures = append(r.doc.Failures, xcom.Failure{
		ConnectionID: t.id, RegistryURL: t.token.RegistryURL, Step: xcom.StepUpdateDockerConnection, Error: err.Error(),
	})
}

// done is an error when nothing succeeded; else the failures travel on in the document.
func (r *results) done() (xcom.UpdateDockerConnection, error) {
	if len(r.doc.Connections) == 0 {
		return r.doc, joinLogged(r.log, r.errors)
	}
	for _, err := range r.errors {
		logFailure(r.log, err)
	}
	return r.doc, nil
}

// logoutTimeout leaves time to end within Airflow's 5 s between SIGTERM and SIGKILL.
const logoutTimeout = 2 * time.Second

const hintDownstream = "clear extract_ecr_token with Downstream: it gets a new token and goes on from there"
