// Package steps holds the three tasks of the DAG, one file each: extract_ecr_token, update_docker_connection and
// test_docker_connection; beside them stand their peers (ECR, registry, Docker Engine, docker-py's config.json).
//
// Each step is a struct: its configuration, then its peers, then Now and Log. Run(ctx) gives the document for the next
// step. A step is safe to run twice, reads no environment, and no secret leaves it but to its peer.
package steps

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/token"
	"ecr-refresh/steps/xcom"
)

// ExtractECRToken gets a token from ECR, checks it at its registry and seals it.
type ExtractECRToken struct {
	Account       string   // 12 digits: whose registry the connections pull from
	Region        string   // of the registry; a token works in its own region only
	ConnectionIDs []string // the Airflow connections that get the token
	Recipient     string   // age1…, whom the token is sealed to

	ECR      ECR
	Registry *Registry
	Now      func() time.Time
	Log      *slog.Logger
}

var (
	accountID  = regexp.MustCompile(`^\d{12}$`)
	regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+-\d+$`)
)

// CheckAccount refuses what is not an AWS account id.
func CheckAccount(account string) error {
	if !accountID.MatchString(account) {
		return failure.Permanent("", "account %.40q is not 12 digits", account)
	}
	return nil
}

// CheckRegion refuses what cannot be an AWS region's name, before it becomes part of a host's.
func CheckRegion(region string) error {
	if !regionName.MatchString(region) {
		return failure.Permanent("", "region %.40q is not a region's name such as us-east-1", region)
	}
	return nil
}

// CheckConnectionID refuses what Airflow would not take as a connection id.
func CheckConnectionID(id string) error {
	if !xcom.IsConnectionID(id) {
		return failure.Permanent("", "connection id %.40q is not letters, digits, '_', '.' and '-'", id)
	}
	return nil
}

// Run gives document 1.
func (s ExtractECRToken) Run(ctx context.Context) (xcom.ExtractECRToken, error) {
	t, err := s.extract(ctx)
	if err != nil {
		return xcom.ExtractECRToken{}, fmt.Errorf("extract token of account %s in %s: %w", s.Account, s.Region, err)
	}
	if err := s.Registry.Check(ctx, t.RegistryURL, t.Username, t.Password); err != nil {
		return xcom.ExtractECRToken{}, err
	}
	s.Log.Info(fmt.Sprintf("%s accepts the token", t.Host()))
	return s.seal(t)
}

func (s ExtractECRToken) extract(ctx context.Context) (token.Token, error) {
	issued := s.Now()
	out, err := s.ECR(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return token.Token{}, ecrError(err)
	}
	if len(out.AuthorizationData) != 1 {
		return token.Token{}, failure.Transient(hintECR, "ECR answered with %d tokens, not one", len(out.AuthorizationData))
	}
	t, err := decodeToken(out.AuthorizationData[0], issued)
	if err == nil {
		t.RegistryURL, err = registryURL(t.RegistryURL, s.Account)
	}
	if err != nil {
		return token.Token{}, failure.Transient(hintECR, "ECR's token cannot be used: %w", err)
	}
	s.logExpiry(t)
	return t, nil
}

// logExpiry only warns of an expiry in the past: a clock may be wrong, and the registry is the judge.
func (s ExtractECRToken) logExpiry(t token.Token) {
	left := t.ExpiresAt.Sub(s.Now())
	if left <= 0 {
		s.Log.Warn(fmt.Sprintf("ECR's token for %s says that it expired at %s: look at this machine's clock", t.Host(), t.ExpiresAt.Format(time.RFC3339)))
		return
	}
	s.Log.Info(fmt.Sprintf("ECR gave a token for %s, good until %s (%s)", t.Host(), t.ExpiresAt.Format(time.RFC3339), left.Round(time.Minute)))
}

func (s ExtractECRToken) seal(t token.Token) (xcom.ExtractECRToken, error) {
	seal, err := token.Seal(s.Recipient, []token.Token{t})
	if err != nil {
		return xcom.ExtractECRToken{}, err
	}
	doc := xcom.NewExtractECRToken()
	doc.Recipient, doc.Sealed = s.Recipient, seal
	doc.Tokens = append(doc.Tokens, xcom.Token{
		RegistryURL: t.RegistryURL,
		Username:    t.Username,
		IssuedAt:    t.IssuedAt,
		ExpiresAt:   t.ExpiresAt,
		Fingerprint: t.Fingerprint(),
		Connections: s.ConnectionIDs,
	})
	return doc, nil
}

const hintECR = "is AWS_ENDPOINT_URL or a proxy answering in ECR's place?"
