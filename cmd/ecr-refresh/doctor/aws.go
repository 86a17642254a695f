package doctor

import (
	"context"
	"slices"
	"time"

	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

// awsChecks are of each identity and region.
func (d *Doctor) awsChecks() []check {
	source := func(t target.Target) ecr.Source { return t.Source }
	return slices.Concat(each(d.targets, source, d.checkIdentity), each(d.targets, source, d.checkECR))
}

// checkIdentity asks STS. A run does not, so that a failure is only a warning.
func (d *Doctor) checkIdentity(ctx context.Context, f *Findings, source ecr.Source) {
	const name = "aws identity"
	if arn, err := ecr.WhoAmI(ctx, d.AWS, source); err != nil {
		f.add(warn, name, hints.Of(err), "%s", err)
	} else {
		f.add(ok, name, "", "%s", arn)
	}
}

// checkECR gets a token, and then logs in with it at the registries of its source.
func (d *Doctor) checkECR(ctx context.Context, f *Findings, source ecr.Source) {
	token, err := ecr.New(d.AWS)(ctx, source)
	if !f.result("ecr "+source.Region, err, "returned a token, valid until %s", token.ExpiresAt.Format(time.RFC3339)) {
		return
	}
	others := func(t target.Target) bool { return t.Source != source }
	f.then = each(slices.DeleteFunc(slices.Clone(d.targets), others), host,
		func(ctx context.Context, f *Findings, host string) {
			err := d.Registry.Check(ctx, "https://"+host, token.Username, token.Password)
			f.result("registry login", err, "%s accepts the token", host)
		})
}

func host(t target.Target) string { return t.Registry.Name }
