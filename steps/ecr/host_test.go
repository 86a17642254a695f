package ecr_test

import (
	"strings"
	"testing"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
)

func TestParseRegistryHost(t *testing.T) {
	t.Parallel()
	const account = "123456789012"
	for name, want := range map[string]ecr.Host{
		".dkr.ecr.us-east-1.amazonaws.com":                    {Region: "us-east-1", Partition: "aws"},
		".dkr.ecr-fips.us-east-1.amazonaws.com":               {Region: "us-east-1", Partition: "aws", FIPS: true},
		".dkr-ecr.us-east-1.on.aws":                           {Region: "us-east-1", Partition: "aws", DualStack: true},
		".dkr-ecr-fips.us-east-1.on.aws":                      {Region: "us-east-1", Partition: "aws", FIPS: true, DualStack: true},
		".dkr.ecr.us-gov-west-1.amazonaws.com":                {Region: "us-gov-west-1", Partition: "aws-us-gov"},
		".dkr.ecr-fips.us-gov-east-1.amazonaws.com":           {Region: "us-gov-east-1", Partition: "aws-us-gov", FIPS: true},
		".dkr-ecr-fips.us-gov-east-1.on.aws":                  {Region: "us-gov-east-1", Partition: "aws-us-gov", FIPS: true, DualStack: true},
		".dkr.ecr.cn-north-1.amazonaws.com.cn":                {Region: "cn-north-1", Partition: "aws-cn"},
		".dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn": {Region: "cn-northwest-1", Partition: "aws-cn", DualStack: true},
		".dkr.ecr.eusc-de-east-1.amazonaws.eu":                {Region: "eusc-de-east-1", Partition: "aws-eusc"},
		".dkr.ecr.us-iso-east-1.c2s.ic.gov":                   {Region: "us-iso-east-1", Partition: "aws-iso"},
		".dkr.ecr.us-isob-east-1.sc2s.sgov.gov":               {Region: "us-isob-east-1", Partition: "aws-iso-b"},
		".dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk":              {Region: "eu-isoe-west-1", Partition: "aws-iso-e"},
		".dkr.ecr.us-isof-south-1.csp.hci.ic.gov":             {Region: "us-isof-south-1", Partition: "aws-iso-f"},
	} {
		want.Name, want.Account, want.Service = account+name, account, ecr.Private
		got, err := ecr.ParseHost(strings.ToUpper(account + name))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		again, err := ecr.NewHost(got.Account, got.Region, "", got.FIPS, got.DualStack)
		if err != nil || again != got {
			t.Errorf("%s is named %+v, %v", name, again, err)
		}
	}
	for name, dual := range map[string]bool{"public.ecr.aws": false, "ecr-public.aws.com": true} {
		got, err := ecr.ParseHost(name)
		if err != nil || got != (ecr.Host{Name: name, Service: ecr.Public, Region: "us-east-1", Partition: "aws", DualStack: dual}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// What looks like a registry's name and is not would get a token.
func TestParseRegistryHostRefuses(t *testing.T) {
	t.Parallel()
	const good = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	for _, name := range []string{
		"", "docker.io", "public.ecr.aws.example.com", "evil-public.ecr.aws", good + ".example.com", good + ".", good + ":443", "https://" + good, good + "/",
		"user@" + good, "x" + good, "1" + good, good[1:], " " + good, good + " ", good + "\n", strings.Replace(good, "1", "١", 1),
		strings.Replace(good, "k", "\u212a", 1), strings.Replace(good, "s-", "\u017f-", 1), strings.Replace(good, ".", "\u3002", 1), strings.Replace(good, "e", "\u0435", 1),
		"user:secret@" + good, good + "@evil.example", good + "#.evil.example", good + "?.evil.example", good + "\\.evil.example", good + "\x00", good + "%00", good + ".evil.example:443",
		strings.Replace(good, ".", "\n.", 1), "[" + good + "]", strings.Replace(good, "us-east-1", "us-east-1.evil", 1), "12345678901a" + good[12:], "-" + good[1:],
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn", "123456789012.dkr.ecr.cn-north-1.amazonaws.com", "123456789012.dkr.ecr.us-gov-west-1.on.aws",
		"123456789012.dkr-ecr.us-east-1.amazonaws.com", "123456789012.dkr.ecr.us-east-1.on.aws", "123456789012.dkr-ecr.us-iso-east-1.c2s.ic.gov",
		"123456789012.dkr.ecr.us-east-1..amazonaws.com", "123456789012.dkr.ecr.useast1.amazonaws.com", "123456789012.dkr.ecr-fips-x.us-east-1.amazonaws.com",
		"123456789012.dkr.ecr.us-east-1.amazonaws.co", "123456789012.dkr_ecr.us-east-1.amazonaws.com", "api.ecr.us-east-1.amazonaws.com",
	} {
		got, err := ecr.ParseHost(name)
		if err == nil || !failure.IsPermanent(err) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
}

// FuzzParseHost: nothing panics; what passes is a host of ECR's and nothing more, and reads the same again.
func FuzzParseHost(f *testing.F) {
	for _, name := range []string{"123456789012.dkr.ecr.us-east-1.amazonaws.com", "123456789012.dkr-ecr-fips.us-gov-east-1.on.aws", "public.ecr.aws", "docker.io"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		host, err := ecr.ParseHost(name)
		if err != nil {
			return
		}
		again, err := ecr.ParseHost(host.Name)
		if err != nil || again != host || strings.ContainsAny(host.Name, "/:@?# \n") {
			t.Errorf("%q is %+v, and that %+v, %v", name, host, again, err)
		}
	})
}
