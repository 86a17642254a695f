package ecr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
)

func TestParseHost(t *testing.T) {
	t.Parallel()
	const account = "123456789012"
	for _, row := range []struct {
		name, region, partition string
		fips, dual              bool
	}{
		{".dkr.ecr.us-east-1.amazonaws.com", "us-east-1", "aws", false, false},
		{".dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", "aws", true, false},
		{".dkr-ecr.us-east-1.on.aws", "us-east-1", "aws", false, true},
		{".dkr-ecr-fips.us-east-1.on.aws", "us-east-1", "aws", true, true},
		{".dkr.ecr.us-gov-west-1.amazonaws.com", "us-gov-west-1", "aws-us-gov", false, false},
		{".dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "aws-cn", false, false},
		{".dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn", "cn-northwest-1", "aws-cn", false, true},
		{".dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", "aws-eusc", false, false},
		{".dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", "aws-iso", false, false},
		{".dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", "aws-iso-b", false, false},
		{".dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1", "aws-iso-e", false, false},
		{".dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1", "aws-iso-f", false, false},
	} {
		want := ecr.Host{Name: account + row.name, Service: ecr.Private, Account: account, Region: row.region,
			Partition: row.partition, FIPS: row.fips, DualStack: row.dual}
		got, err := ecr.ParseHost(want.Name, "")
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", row.name, got, err)
		}
		again, err := ecr.NewHost(got.Account, got.Region, "", got.FIPS, got.DualStack)
		if err != nil || again != got {
			t.Errorf("%s becomes %+v, %v", row.name, again, err)
		}
	}
	for name, dual := range map[string]bool{"public.ecr.aws": false, "ecr-public.aws.com": true} {
		got, err := ecr.ParseHost(name, "")
		want := ecr.Host{Name: name, Service: ecr.Public, Region: "us-east-1", Partition: "aws", DualStack: dual}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// A name that only looks like that of a registry must get no token.
func TestParseHostRejects(t *testing.T) {
	t.Parallel()
	const account = "123456789012"
	const good = account + ".dkr.ecr.us-east-1.amazonaws.com"
	for _, name := range []string{
		"", "docker.io", "public.ecr.aws.example.com", "evil-public.ecr.aws", "PUBLIC.ecr.aws", strings.ToUpper(good),
		good + ".example.com", good + ".", good + ":443", "https://" + good, good + "/", "user@" + good, "x" + good,
		"1" + good, good[1:], " " + good, good + " ", good + "\n", good + "@evil.example", "12345678901a" + good[12:],
		strings.Replace(good, ".", "\n.", 1), strings.Replace(good, "us-east-1", "us-east-1.evil", 1),
		strings.Replace(good, "1", "١", 1), strings.Replace(good, "k", "\u212a", 1),
		strings.Replace(good, "s-", "\u017f-", 1), strings.Replace(good, ".", "\u3002", 1),
		account + ".dkr.ecr.us-east-1.amazonaws.com.cn", account + ".dkr.ecr.cn-north-1.amazonaws.com",
		account + ".dkr.ecr.us-gov-west-1.on.aws", account + ".dkr-ecr.us-east-1.amazonaws.com",
		account + ".dkr.ecr.us-east-1.on.aws", account + ".dkr-ecr.us-iso-east-1.c2s.ic.gov",
		account + ".dkr.ecr.us-east-1..amazonaws.com", account + ".dkr.ecr.useast1.amazonaws.com",
		account + ".dkr.ecr-fips-x.us-east-1.amazonaws.com", account + ".dkr.ecr.us-east-1.amazonaws.co",
		account + ".dkr_ecr.us-east-1.amazonaws.com", "api.ecr.us-east-1.amazonaws.com",
	} {
		got, err := ecr.ParseHost(name, "")
		if err == nil || !failure.IsPermanent(err) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
}

// What people paste is read as the host in it; a login, another port and names that only look alike are not.
func TestBare(t *testing.T) {
	t.Parallel()
	const host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	for _, pasted := range []string{
		host, "https://" + host, "HTTPS://" + strings.ToUpper(host) + "/", host + ":443", " " + host + "\n",
		host + "/repo:tag", host + "/a/b@sha256:0123", "https://" + host + ":443/v2/?x#y",
	} {
		if got, err := ecr.ParseHost(ecr.Bare(pasted), ""); err != nil || got.Name != host {
			t.Errorf("%q is %q, %v", pasted, got.Name, err)
		}
	}
	for _, pasted := range []string{
		"http://" + host, host + ":5000", "AWS:S3CRET@" + host, "https://AWS:S3CRET@" + host + "/", host + "\\x",
		"ftp://" + host, host + ":443:443", strings.Replace(host, "k", "\u212a", 1), "evil.example/" + host,
		host + ".evil.example", host + "?x", host + "#x", "https://https://" + host,
	} {
		got, err := ecr.ParseHost(ecr.Bare(pasted), "")
		if !failure.IsPermanent(err) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%q is %q, %v", pasted, got.Name, err)
		}
	}
}

// FuzzParseHost: nothing panics; what passes is a host of ECR and nothing more, and reads the same again.
func FuzzParseHost(f *testing.F) {
	f.Add("public.ecr.aws")
	f.Add("123456789012.dkr-ecr-fips.us-gov-east-1.on.aws")
	f.Fuzz(func(t *testing.T, name string) {
		host, err := ecr.ParseHost(name, "")
		if err != nil {
			return
		}
		again, err := ecr.ParseHost(host.Name, "")
		if err != nil || again != host || strings.ContainsAny(host.Name, "/:@?# \n") {
			t.Errorf("%q is %+v, and that %+v, %v", name, host, again, err)
		}
	})
}

func TestAccountsAndRegions(t *testing.T) {
	t.Parallel()
	const account, region = "123456789012", "us-east-1"
	for _, row := range [][2]string{
		{account, ""}, {account, "us-east"}, {account, "US-EAST-1"}, {account, region + ".evil.example"},
		{account, "../us-east-1"}, {"", region}, {account[1:], region}, {account + "3", region},
		{account[1:] + "a", region}, {" " + account, region},
	} {
		if _, err := ecr.NewHost(row[0], row[1], "", false, false); !failure.IsPermanent(err) {
			t.Errorf("%q: %v", row, err)
		}
	}
}

// What was probably meant is named; a well-formed region that is not known may be new.
func TestMistakesInAccountsAndRegions(t *testing.T) {
	t.Parallel()
	const account = `%q, not an AWS account (`
	const region = `%q, not an AWS region (`
	for _, row := range []struct {
		check              func(string) error
		value, says, meant string
	}{
		{ecr.CheckAccount, "1234-5678-9012", account + "without dashes or blanks: 123456789012)", "123456789012"},
		{ecr.CheckAccount, "1234 5678 9012", account + "without dashes or blanks: 123456789012)", "123456789012"},
		{ecr.CheckAccount, "23456789012", account + "a leading zero may be lost: 023456789012)", "023456789012"},
		{ecr.CheckAccount, "2345-678-9012", account + "a leading zero may be lost: 023456789012)", "023456789012"},
		{ecr.CheckAccount, "12345", account + "such as 123456789012)", ""},
		{ecr.CheckAccount, "1234567890123", account + "such as 123456789012)", ""},
		{ecr.CheckAccount, "١٢٣٤٥٦٧٨٩٠١٢", account + "such as 123456789012)", ""},
		{ecr.CheckRegion, "us-east-1a", region + "an availability zone of us-east-1)", "us-east-1"},
		{ecr.CheckRegion, "us-west-2-lax-1a", region + "an availability zone of us-west-2)", "us-west-2"},
		{ecr.CheckRegion, "us-gov-west-1b", region + "an availability zone of us-gov-west-1)", "us-gov-west-1"},
		{ecr.CheckRegion, "EU-Central-1", region + "in lower case: eu-central-1)", "eu-central-1"},
		{ecr.CheckRegion, "us-esat-1", region + "did you mean us-east-1?)", "us-east-1"},
		{ecr.CheckRegion, "eu-wset-3", region + "did you mean eu-west-3?)", "eu-west-3"},
		{ecr.CheckRegion, "ap-south-east-2", region + "did you mean ap-southeast-2?)", "ap-southeast-2"},
		{ecr.CheckRegion, "cn-nort-1", region + "did you mean cn-north-1?)", "cn-north-1"},
		{ecr.CheckRegion, "us-east1", region + "did you mean us-east-1?)", "us-east-1"},
		{ecr.CheckRegion, "useast1", region + "did you mean us-east-1?)", "us-east-1"},
		{ecr.CheckRegion, "US_EAST_1", region + "did you mean us-east-1?)", "us-east-1"},
		{ecr.CheckRegion, " us-east-1", region + "did you mean us-east-1?)", "us-east-1"},
		{ecr.CheckRegion, "us-east-01", region + "did you mean us-east-1?)", "us-east-1"},
		{ecr.CheckRegion, "eu-central", region + "did you mean eu-central-1?)", "eu-central-1"},
		{ecr.CheckRegion, "mars", region + "such as us-east-1)", ""},
		{ecr.CheckRegion, "us-east-1.evil.example", region + "such as us-east-1)", ""},
	} {
		err := row.check(row.value)
		fault, ok := errors.AsType[*failure.Error](err)
		if says := fmt.Sprintf(row.says, row.value); !ok || err.Error() != says || fault.Facts.Want != row.meant {
			t.Errorf("%v, want %s", err, says)
		}
	}
	for _, known := range strings.Fields("us-east-1 ap-southeast-7 mx-central-1 cn-northwest-1 us-gov-east-1 " +
		"us-iso-west-1 " +
		"us-isob-east-1 eusc-de-east-1 eu-isoe-west-1 us-isof-south-1 eu-west-12 xx-new-1 us-coast-1 nz-middle-2") {
		if err := ecr.CheckRegion(known); err != nil {
			t.Error(err)
		}
	}
}
