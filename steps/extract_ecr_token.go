// Package steps holds the three tasks of the DAG, one file each: extract_ecr_token, update_docker_connection and
// test_docker_connection; beside them stand their peers (ECR, registry, Docker Engine, docker-py's config.json).
//
// Each step is a struct: its configuration, then its peers, then Now and Log. Run(ctx) gives the document for the next
// step. A step is safe to run twice, reads no environment, and no secret leaves it but to its peer.
package steps

import (
	"context"
	"ecr-refresh/steps/registry"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/xcom"
)

// concurrency is how many registries, or Engine logins, are asked at once.
const concurrency = 16

// ExtractECRToken gets one token for each identity and region of its targets, checks it at each of their registries and
// seals them all. Where one fails, the others go on.
type ExtractECRToken struct {
	Targets   []target.Target
	Recipient string // age1…, whom the tokens are sealed to

	ECR      ecr.GetToken
	Registry *registry.Client // nil: leave the check to step 2
	Now      func() time.Time
	Log      *slog.Logger
}

// extracted is a token at one registry, and the connections that it is for.
type extracted struct {
	token       secret.Token
	source      ecr.Source
	connections []string
	err         error
}

// Run gives document 1. With several targets it succeeds when any has its token, and carries the failures of the others.
func (s ExtractECRToken) Run(ctx context.Context) (xcom.ExtractECRToken, error) {
	at := s.registries(ctx)
	s.check(ctx, at)
	return s.seal(at)
}

// registries gets the tokens, and returns each registry with its own, in the order of the targets.
func (s ExtractECRToken) registries(ctx context.Context) []*extracted {
	type place struct {
		source ecr.Source
		host   string
	}
	tokens := s.tokens(ctx)
	known := map[place]*extracted{}
	var all []*extracted
	for _, t := range s.Targets {
		at := place{t.Source, t.Registry.Name}
		e := known[at]
		if e == nil {
			got := tokens[t.Source]
			e = &extracted{token: got.token, source: t.Source, err: got.err}
			e.token.RegistryURL = "https://" + t.Registry.Name
			known[at], all = e, append(all, e)
			s.logExpiry(e)
		}
		e.connections = append(e.connections, t.ConnectionID)
	}
	return all
}

// tokens asks ECR once for each identity, region and form of endpoint.
func (s ExtractECRToken) tokens(ctx context.Context) map[ecr.Source]*extracted {
	got := map[ecr.Source]*extracted{}
	var calls errgroup.Group
	calls.SetLimit(concurrency)
	for _, t := range s.Targets {
		if got[t.Source] != nil {
			continue
		}
		e := new(extracted)
		got[t.Source] = e
		calls.Go(func() error {
			e.token, e.err = s.extract(ctx, t.Source)
			return nil
		})
	}
	_ = calls.Wait()
	return got
}

func (s ExtractECRToken) extract(ctx context.Context, source ecr.Source) (secret.Token, error) {
	issued := s.Now()
	t, err := s.ECR(ctx, source)
	if err != nil {
		return secret.Token{}, fmt.Errorf("extract token %s: %w", s.of(source), err)
	}
	t.IssuedAt = issued.UTC().Truncate(time.Second)
	return t, nil
}

// of names a source in an error.
func (s ExtractECRToken) of(source ecr.Source) string {
	text := "in " + source.Region
	if source.Service == ecr.Public {
		text = "of ECR Public"
	} else if len(s.Targets) > 0 && s.Targets[0].Source == source {
		text = "of account " + s.Targets[0].Registry.Account + " " + text
	}
	if source.RoleARN != "" {
		text += " as " + source.RoleARN
	}
	if source.Profile != "" {
		text += " with profile " + source.Profile
	}
	return text
}

// logExpiry only warns of an expiry in the past: a clock may be wrong, and the registry is the judge.
func (s ExtractECRToken) logExpiry(e *extracted) {
	host, until, left := registry.Host(e.token.RegistryURL), e.token.ExpiresAt.Format(time.RFC3339), e.token.ExpiresAt.Sub(s.Now())
	switch {
	case e.err != nil:
	case left <= 0:
		s.Log.Warn(fmt.Sprintf("ECR's token for %s says that it expired at %s: look at this machine's clock", host, until))
	default:
		s.Log.Info(fmt.Sprintf("ECR gave a token for %s, good until %s (%s)", host, until, left.Round(time.Minute)))
	}
}

// check asks each registry whether it takes its token.
func (s ExtractECRToken) check(ctx context.Context, at []*extracted) {
	if s.Registry == nil {
		return
	}
	var checks errgroup.Group
	checks.SetLimit(concurrency)
	for _, e := range at {
		if e.err != nil {
			continue
		}
		checks.Go(func() error {
			e.err = s.Registry.Check(ctx, e.token.RegistryURL, e.token.Username, e.token.Password)
			return nil
		})
	}
	_ = checks.Wait()
	for _, e := range at {
		if e.err == nil {
			s.Log.Info(fmt.Sprintf("%s accepts the token", registry.Host(e.token.RegistryURL)))
		}
	}
}

// seal makes the document of what succeeded. Nothing did: an error.
func (s ExtractECRToken) seal(at []*extracted) (xcom.ExtractECRToken, error) {
	doc := xcom.NewExtractECRToken()
	var tokens []secret.Token
	var faults []error
	for _, e := range at {
		if e.err != nil {
			faults = append(faults, e.err)
			doc.Failures = append(doc.Failures, e.failures()...)
			continue
		}
		tokens = append(tokens, e.token)
		doc.Tokens = append(doc.Tokens, e.shown())
	}
	if len(tokens) == 0 {
		return xcom.ExtractECRToken{}, joinLogged(s.Log, distinct(faults))
	}
	for _, err := range distinct(faults) {
		logFailure(s.Log, err)
	}
	seal, err := secret.Encrypt(s.Recipient, tokens)
	doc.Recipient, doc.Sealed = s.Recipient, seal
	return doc, err
}

func (e *extracted) failures() (all []xcom.Failure) {
	for _, id := range e.connections {
		all = append(all, xcom.Failure{ConnectionID: id, RegistryURL: e.token.RegistryURL, Step: xcom.StepExtractECRToken, Error: e.err.Error()})
	}
	return all
}

func (e *extracted) shown() xcom.Token {
	return xcom.Token{
		RegistryURL: e.token.RegistryURL,
		Username:    e.token.Username,
		IssuedAt:    e.token.IssuedAt,
		ExpiresAt:   e.token.ExpiresAt,
		Fingerprint: e.token.Fingerprint(),
		Connections: e.connections,
	}
}

// distinct leaves out what was told before: one call to ECR fails for all registries behind it.
func distinct(errs []error) (once []error) {
	seen := map[string]bool{}
	for _, err := range errs {
		if !seen[err.Error()] {
			once = append(once, err)
		}
		seen[err.Error()] = true
	}
	return once
}
