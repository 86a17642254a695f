package doctor

import (
	"context"
	"slices"
	"time"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

// awsChecks are of each identity and region, and of each registry.
func (x *examination) awsChecks() []check {
	source := func(t target.Target) ecr.Source { return t.Source }
	return slices.Concat(each(x.targets, source, x.checkIdentity), each(x.targets, source, x.checkECR),
		each(x.targets, hostOf, x.checkRegistry))
}

// checkIdentity asks STS. A run does not, so that a failure is only a warning.
func (x *examination) checkIdentity(ctx context.Context, f *Findings, source ecr.Source) {
	arn, err := ecr.WhoAmI(ctx, x.AWS, source)
	if !f.result("aws identity", err, "%s", arn) {
		f.downgrade(warn)
	}
}

// checkECR gets a token, and logs in with it at the registries of its source.
func (x *examination) checkECR(ctx context.Context, f *Findings, source ecr.Source) {
	token, err := ecr.New(x.AWS)(ctx, source)
	if !f.result("ecr "+source.Region, err, "returned a token, valid until %s", token.ExpiresAt.Format(time.RFC3339)) {
		return
	}
	logIn := func(ctx context.Context, f *Findings, host string) {
		err := x.Registry.Check(ctx, "https://"+host, token.Username, token.Password)
		f.result("token at "+host, err, "accepted")
	}
	others := func(t target.Target) bool { return t.Source != source }
	f.concurrently(ctx, each(slices.DeleteFunc(slices.Clone(x.targets), others), hostOf, logIn))
}

// checkRegistry reaches a registry without a login.
func (x *examination) checkRegistry(ctx context.Context, f *Findings, host string) {
	date, err := x.Registry.Reach(ctx, "https://"+host)
	if f.result("registry "+host, err, "reachable, certificate verified") {
		f.clock("clock of "+host, x.Now(), date)
	}
}
