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
	Registry *registry.Client
	Now      func() time.Time
	Log      *slog.Logger
}

// Run returns the encrypted tokens. It succeeds when any target has its token, and the result carries other failures.
func (s ExtractECRToken) Run(ctx context.Context) (xcom.ExtractECRToken, error) {
	all := s.tokens(ctx)
	checkAll(ctx, s.Registry, s.Log, all)
	return s.result(all)
}

// tokens returns each registry with its copy of the token, in the order of the targets. It asks ECR once per source.
func (s ExtractECRToken) tokens(ctx context.Context) (all []*issued) {
	got := map[ecr.Source]*issued{}
	var first []target.Target // of each source
	for _, t := range s.Targets {
		if got[t.Source] == nil {
			got[t.Source], first = new(issued), append(first, t)
		}
	}
	inParallel(first, func(t target.Target) { *got[t.Source] = s.token(ctx, t) })
	known := map[target.Target]*issued{} // without the connection
	for _, t := range s.Targets {
		at := target.Target{Registry: t.Registry, Source: t.Source}
		if known[at] == nil {
			e := *got[t.Source]
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

// token asks ECR for the token of a target, which the other targets of its source share.
func (s ExtractECRToken) token(ctx context.Context, t target.Target) issued {
	began, what := s.Now(), "account "+t.Registry.Account+" in "+t.Source.Region
	token, err := s.ECR(ctx, t.Source)
	if err == nil {
		token.IssuedAt, token.Fingerprint = began.UTC().Truncate(time.Second), secret.Fingerprint(token.Password)
		latest := token.IssuedAt.Add(secret.Lifetime + secret.ClockSkew)
		if token.ExpiresAt.After(latest) { // by this machine's clock, which is behind
			token.ExpiresAt = latest
		}
		return issued{token: token}
	}
	if t.Source.Service == ecr.Public {
		what = "ECR Public"
	}
	if t.Source.RoleARN != "" {
		what += " as " + t.Source.RoleARN
	}
	if t.Source.Profile != "" {
		what += " with profile " + t.Source.Profile
	}
	return issued{err: fmt.Errorf("extract token of %s: %w", what, err)}
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
		if e.err == nil {
			tokens = append(tokens, e.token)
			result.Tokens = append(result.Tokens, xcom.Token{TokenInfo: e.token.TokenInfo, Connections: e.connections})
			continue
		}
		errs = append(errs, e.err)
		for _, id := range e.connections {
			result.Failures = append(result.Failures, e.failure(result.Step, id, e.err))
		}
	}
	err := verdict(s.Log, len(tokens), errs)
	if err == nil {
		result.Recipient = s.Recipient
		result.Sealed, err = secret.Encrypt(s.Recipient, tokens)
	}
	return result, err
}
