package ecr

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"ecr-refresh/steps/failure"
)

// The services whose tokens log Docker in.
const (
	Private = "ecr"
	Public  = "ecr-public"
)

// publicRegion is the only region that gives tokens of ECR Public
// (https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html).
const publicRegion = "us-east-1"

// Host is what the name of an ECR registry's host says. What the name does not say is "".
type Host struct {
	Name      string // as Docker writes it, in lower case
	Service   string // Private or Public
	Account   string // 12 digits; "" for ECR Public
	Region    string
	Partition string // aws, aws-cn, …; "" where the suffix is one that was configured
	FIPS      bool   // the host is a FIPS endpoint
	DualStack bool   // the host has IPv6 too
}

// partition is a part of AWS with its own accounts, regions and names.
type partition struct {
	name    string
	regions string // how the names of its regions start
	suffix  string // of registries and API endpoints
	dual    string // of dual-stack registries; "" where AWS documents none
}

// partitions are as the AWS SDK knows them (internal/endpoints/awsrulesfn/partitions.json) with the dual-stack suffixes
// of https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html. The first whose regions fit counts.
func partitions() []partition {
	return []partition{
		{"aws-cn", "cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
		{"aws-us-gov", "us-gov-", "amazonaws.com", "on.aws"},
		{"aws-eusc", "eusc-", "amazonaws.eu", "on.amazonwebservices.eu"},
		{"aws-iso", "us-iso-", "c2s.ic.gov", ""},
		{"aws-iso-b", "us-isob-", "sc2s.sgov.gov", ""},
		{"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", ""},
		{"aws-iso-f", "us-isof-", "csp.hci.ic.gov", ""},
		{"aws", "", "amazonaws.com", "on.aws"},
	}
}

func partitionOf(region string) partition {
	all := partitions()
	return all[slices.IndexFunc(all, func(p partition) bool { return strings.HasPrefix(region, p.regions) })]
}

// privateHost is ACCOUNT.dkr.ecr[-fips].REGION.SUFFIX, and with "dkr-ecr" the dual-stack form.
var privateHost = regexp.MustCompile(`^(\d{12})\.dkr([.-])ecr(-fips)?\.([a-z0-9-]+)\.([a-z0-9.-]+)$`)

// ParseHost reads the name of an ECR registry's host, private or public, of any partition. A host that is not
// ECR's is refused.
func ParseHost(name string) (Host, error) {
	host, err := SplitHost(name)
	if err != nil {
		return Host{}, err
	}
	if host.Service == Public {
		return host, nil
	}
	p, suffix := partitionOf(host.Region), HostSuffix(host.Name)
	if want := p.registrySuffix(host.DualStack); suffix != want || want == "" {
		return Host{}, failure.Permanent(hintHost, "registry host %.100q: region %s is of partition %s, whose registries do not end in .%s",
			name, host.Region, p.name, suffix)
	}
	host.Partition = p.name
	return host, nil
}

// SplitHost reads all but the partition.
func SplitHost(name string) (Host, error) {
	if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) { // some have lower cases in ASCII
		return Host{}, failure.Permanent(hintHost, "registry host %.100q is not one of Amazon ECR", name)
	}
	name = strings.ToLower(name)
	switch name {
	case "public.ecr.aws", "ecr-public.aws.com":
		return Host{Name: name, Service: Public, Region: publicRegion, Partition: "aws", DualStack: name != "public.ecr.aws"}, nil
	}
	m := privateHost.FindStringSubmatch(name)
	if m == nil {
		return Host{}, failure.Permanent(hintHost, "registry host %.100q is not one of Amazon ECR", name)
	}
	if err := CheckRegion(m[4]); err != nil {
		return Host{}, err
	}
	return Host{Name: name, Service: Private, Account: m[1], Region: m[4], DualStack: m[2] == "-", FIPS: m[3] != ""}, nil
}

// HostSuffix returns what follows the region in the name of a private registry.
func HostSuffix(name string) string { return privateHost.FindStringSubmatch(name)[5] }

func (p partition) registrySuffix(dualStack bool) string {
	if dualStack {
		return p.dual
	}
	return p.suffix
}

// NewHost names the host of a private registry. suffix, where not "", takes the place of its partition's.
func NewHost(account, region, suffix string, fips, dualStack bool) (Host, error) {
	p := partitionOf(region)
	host := Host{Service: Private, Account: account, Region: region, Partition: p.name, FIPS: fips, DualStack: dualStack}
	if suffix == "" {
		suffix = p.registrySuffix(dualStack)
	} else {
		host.Partition = ""
	}
	if suffix == "" {
		return host, failure.Permanent("leave dual_stack out, or give the registry's host", "partition %s has no dual-stack registries", p.name)
	}
	host.Name = account + ".dkr" + separator(dualStack) + "ecr" + ifFIPS(fips) + "." + region + "." + suffix
	return host, nil
}

func separator(dualStack bool) string {
	if dualStack {
		return "-"
	}
	return "."
}

func ifFIPS(fips bool) string {
	if fips {
		return "-fips"
	}
	return ""
}

// Nothing else becomes part of a host's name.
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

// IsAccount reports whether account is an AWS account id.
func IsAccount(account string) bool { return accountID.MatchString(account) }

// IsRegion reports whether region can be an AWS region's name.
func IsRegion(region string) bool { return regionName.MatchString(region) }

const hintHost = "ACCOUNT.dkr.ecr.REGION.amazonaws.com, its FIPS, dual-stack and other partitions' forms, or public.ecr.aws; declare a new suffix as partition_suffix"

// APIHost returns the host of ECR's API in a region of a partition that the SDK does not know.
func APIHost(region, suffix string, fips bool) string {
	return "api.ecr" + ifFIPS(fips) + "." + region + "." + suffix
}
