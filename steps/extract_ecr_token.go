// Package steps holds the three tasks of the DAG, one file each: extract_ecr_token, update_docker_connection and
// test_docker_connection; beside them stand their peers (ECR, registry, Docker Engine, docker-py's config.json).
//
// Each step is a struct: its configuration, then its peers, then Now and Log. Run(ctx) gives the document for the next
// step. A step is safe to run twice, reads no environment, and no secret leaves it but to its peer.
package steps

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"ecr-refresh/steps/token"
	"ecr-refresh/steps/xcom"
)

// ECR takes 20 calls a second of one account in one region
// (https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors.html); jitter keeps runs that start together apart.
const (
	ecrPace   = 52 * time.Millisecond // with jitter, too, 20 in any second
	ecrJitter = 20 * time.Millisecond
)

// sideBySide is how many registries, or Engine logins, are asked at once.
const sideBySide = 16

// ExtractECRToken gets one token for each identity and region of its targets, checks it at each of their registries and
// seals them all. Where one fails, the others go on.
type ExtractECRToken struct {
	Targets   []Target
	Recipient string // age1…, whom the tokens are sealed to

	ECR      ECR
	Registry *Registry // nil: leave the check to step 2
	Now      func() time.Time
	Log      *slog.Logger
}

// extracted is a token at one registry, and the connections that it is for.
type extracted struct {
	token       token.Token
	source      TokenSource
	connections []string
	err         error
}

// Run gives document 1. With several targets it succeeds when any has its token, and carries the failures of the others.
func (s ExtractECRToken) Run(ctx context.Context) (xcom.ExtractECRToken, error) {
	at := s.registries(ctx)
	s.check(ctx, at)
	return s.seal(at)
}

// registries gets the tokens, and gives each registry with its own, in the order of the targets.
func (s ExtractECRToken) registries(ctx context.Context) []*extracted {
	tokens := s.tokens(ctx)
	var all []*extracted
	type place struct {
		token *answer
		url   string
	}
	known := map[place]*extracted{}
	for _, t := range s.Targets {
		got := tokens(t.Source)
		at := place{got, registryURL(t, got.token.RegistryURL)}
		e := known[at]
		if e == nil {
			e = &extracted{token: got.token, source: t.Source, err: got.err}
			e.token.RegistryURL = at.url
			known[at], all = e, append(all, e)
			s.logExpiry(e)
		}
		e.connections = append(e.connections, t.ConnectionID)
	}
	return all
}

// registryURL is that of the target's registry. A name that nobody declared follows ECR's answer where that is no host of
// ECR's own: a stand-in's, or that of a partition which is newer than this program.
func registryURL(t Target, answered string) string {
	u, err := url.Parse(answered)
	if t.Declared || err != nil || u.Scheme != "https" || u.Host == "" {
		return "https://" + t.Registry.Name
	}
	if _, err := ParseRegistryHost(u.Host); err == nil {
		return "https://" + t.Registry.Name
	}
	if own := regexp.MustCompile(`^\d{12}(\.dkr[.-]ecr.*)$`).FindStringSubmatch(u.Host); own != nil { // whatever follows the account
		return "https://" + t.Registry.Account + own[1]
	}
	return "https://" + u.Host
}

// key is what one token is good for: an endpoint's FIPS or dual-stack form changes nothing in it.
func (s TokenSource) key() TokenSource {
	s.FIPS, s.DualStack = false, false
	return s
}

// answer is what one call to ECR gave.
type answer struct {
	token token.Token
	err   error
}

// tokens asks ECR once for each identity and region. Where targets want different forms of its endpoint, FIPS or dual-stack,
// all of them together are asked first; where that fails, each form by itself, so that none fails for another's.
func (s ExtractECRToken) tokens(ctx context.Context) func(TokenSource) *answer {
	asked := s.sources()
	answers := s.ask(ctx, asked)
	of := func(source TokenSource) *answer {
		return cmp.Or(answers[source], answers[asked[slices.IndexFunc(asked, func(a TokenSource) bool { return a.key() == source.key() })]])
	}
	var again []TokenSource
	for _, t := range s.Targets {
		if of(t.Source).err != nil && answers[t.Source] == nil && !slices.Contains(again, t.Source) {
			again = append(again, t.Source)
		}
	}
	maps.Copy(answers, s.ask(ctx, again))
	return of
}

// sources gives each identity and region once, with all forms of the endpoint that are wanted of it.
func (s ExtractECRToken) sources() []TokenSource {
	var sources []TokenSource
	at := map[TokenSource]int{}
	for _, t := range s.Targets {
		i, known := at[t.Source.key()]
		if !known {
			at[t.Source.key()], sources = len(sources), append(sources, t.Source)
			continue
		}
		sources[i].FIPS = sources[i].FIPS || t.Source.FIPS
		sources[i].DualStack = sources[i].DualStack || t.Source.DualStack
	}
	return sources
}

// ask calls ECR for each source, side by side, at ECR's pace.
func (s ExtractECRToken) ask(ctx context.Context, sources []TokenSource) map[TokenSource]*answer {
	answers := make(map[TokenSource]*answer, len(sources))
	pace := rate.NewLimiter(rate.Every(ecrPace), 1)
	var calls errgroup.Group
	calls.SetLimit(sideBySide)
	for i, source := range sources {
		got := new(answer)
		answers[source] = got
		calls.Go(func() error {
			if got.err = pace.Wait(ctx); got.err == nil {
				got.token, got.err = s.extract(ctx, source, i > 0)
			}
			return nil
		})
	}
	_ = calls.Wait()
	return answers
}

func (s ExtractECRToken) extract(ctx context.Context, source TokenSource, jitter bool) (token.Token, error) {
	if jitter {
		pause(ctx, rand.N(ecrJitter)) // #nosec G404 -- no secret
	}
	issued := s.Now()
	t, err := s.ECR(ctx, source)
	if err != nil {
		return token.Token{}, fmt.Errorf("extract token %s: %w", s.of(source), err)
	}
	t.IssuedAt = issued.UTC().Truncate(time.Second)
	return t, nil
}

// of names a source in an error.
func (s ExtractECRToken) of(source TokenSource) string {
	text := "in " + source.Region
	if source.Service == ServiceECRPublic {
		text = "of ECR Public"
	} else if len(s.Targets) > 0 && s.Targets[0].Source.key() == source.key() {
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
	host, until, left := e.token.Host(), e.token.ExpiresAt.Format(time.RFC3339), e.token.ExpiresAt.Sub(s.Now())
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
	checks.SetLimit(sideBySide)
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
			s.Log.Info(fmt.Sprintf("%s accepts the token", e.token.Host()))
		}
	}
}

// seal makes the document of what succeeded. Nothing did: an error.
func (s ExtractECRToken) seal(at []*extracted) (xcom.ExtractECRToken, error) {
	doc := xcom.NewExtractECRToken()
	var tokens []token.Token
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
		return xcom.ExtractECRToken{}, told(s.Log, distinct(faults))
	}
	for _, err := range distinct(faults) {
		tell(s.Log, err)
	}
	seal, err := token.Seal(s.Recipient, tokens)
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
