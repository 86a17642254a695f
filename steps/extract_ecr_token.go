// Package steps holds the three tasks of the DAG, one file each: extract_ecr_token, update_docker_connection and
// test_docker_connection. The services that they call have packages of their own.
//
// Each step is a struct: its configuration, then its services, then Now and Log. Run(ctx) returns the result for the
// next step. A step is safe to run twice, reads no environment, and reveals a secret only to the service it is for.
package steps

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/xcom"
)

// ExtractECRToken gets one token for each identity and region of its targets, checks it at each of their registries and
// encrypts them all. Where one fails, the others go on.
type ExtractECRToken struct {
	Targets   []target.Target
	Recipient string // public key that the tokens are encrypted to, age1…

	ECR      ecr.GetToken
	Registry *registry.Client // nil: leave the check to step 2
	Now      func() time.Time
	Log      *slog.Logger
}

// Run returns the encrypted tokens. With several targets it succeeds when any has its token, and the result carries the
// failures of the others.
func (s ExtractECRToken) Run(ctx context.Context) (xcom.ExtractECRToken, error) {
	all := s.registries(s.tokens(ctx))
	if s.Registry != nil {
		checkAll(ctx, s.Registry, s.Log, all)
	}
	return s.result(all)
}

// tokens asks ECR once for each identity, region and form of endpoint.
func (s ExtractECRToken) tokens(ctx context.Context) map[ecr.Source]*issued {
	got := map[ecr.Source]*issued{}
	var sources []ecr.Source
	for _, t := range s.Targets {
		if got[t.Source] == nil {
			got[t.Source] = new(issued)
			sources = append(sources, t.Source)
		}
	}
	inParallel(len(sources), func(i int) {
		e, began := got[sources[i]], s.Now()
		e.token, e.err = s.ECR(ctx, sources[i])
		e.token.IssuedAt = began.UTC().Truncate(time.Second)
		if e.err != nil {
			e.err = fmt.Errorf("extract token %s: %w", s.describe(sources[i]), e.err)
		}
	})
	return got
}

// describe names a source in an error; the first target's account is the one that a single target has.
func (s ExtractECRToken) describe(source ecr.Source) string {
	text := "in " + source.Region
	if source.Service == ecr.Public {
		text = "of ECR Public"
	} else if first := s.Targets[0]; first.Source == source {
		text = "of account " + first.Registry.Account + " " + text
	}
	if source.RoleARN != "" {
		text += " as " + source.RoleARN
	}
	if source.Profile != "" {
		text += " with profile " + source.Profile
	}
	return text
}

// registries returns each registry with its own copy of the token, in the order of the targets.
func (s ExtractECRToken) registries(tokens map[ecr.Source]*issued) (all []*issued) {
	type place struct {
		source ecr.Source
		host   string
	}
	known := map[place]*issued{}
	for _, t := range s.Targets {
		at := place{t.Source, t.Registry.Name}
		if known[at] == nil {
			e := *tokens[t.Source]
			e.token.RegistryURL = "https://" + t.Registry.Name
			known[at], all = &e, append(all, &e)
			if e.err == nil {
				s.logExpiry(t.Registry.Name, e.token.ExpiresAt)
			}
		}
		known[at].connections = append(known[at].connections, t.ConnectionID)
	}
	return all
}

// logExpiry only warns of an expiry in the past: a clock may be wrong, and the registry decides.
func (s ExtractECRToken) logExpiry(host string, expires time.Time) {
	until, left := expires.Format(time.RFC3339), expires.Sub(s.Now())
	if left <= 0 {
		s.Log.Warn("ECR returned a token for " + host + " that expired at " + until + ": check this machine's clock")
		return
	}
	s.Log.Info(fmt.Sprintf("ECR returned a token for %s, valid until %s (%s)", host, until, left.Round(time.Minute)))
}

func (s ExtractECRToken) result(all []*issued) (xcom.ExtractECRToken, error) {
	result := xcom.ExtractECRToken{Head: xcom.NewHead(xcom.StepExtractECRToken), Failures: []xcom.Failure{}}
	var tokens []secret.Token
	var errs []error
	for _, e := range all {
		if e.err != nil {
			errs = append(errs, e.err)
			for _, id := range e.connections {
				result.Failures = append(result.Failures, failureOf(xcom.StepExtractECRToken, id, e.token, e.err))
			}
			continue
		}
		tokens = append(tokens, e.token)
		result.Tokens = append(result.Tokens, xcom.Token{
			TokenInfo: e.token.TokenInfo, Fingerprint: e.token.Fingerprint(), Connections: e.connections,
		})
	}
	err := verdict(s.Log, len(tokens), distinct(errs))
	if err == nil {
		result.Recipient = s.Recipient
		result.Sealed, err = secret.Encrypt(s.Recipient, tokens)
	}
	return result, err
}

// distinct leaves out repeated errors: one call to ECR fails for all registries behind it.
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
