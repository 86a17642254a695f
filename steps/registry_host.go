package steps

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"ecr-refresh/steps/failure"
)

// The services whose tokens log Docker in.
const (
	ServiceECR       = "ecr"
	ServiceECRPublic = "ecr-public"
)

// publicRegion is the only region that gives tokens of ECR Public
// (https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html).
const publicRegion = "us-east-1"

// RegistryHost is what the name of an ECR registry's host says. What the name does not say is "".
type RegistryHost struct {
	Name      string // as Docker writes it, in lower case
	Service   string // ServiceECR or ServiceECRPublic
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

// ParseRegistryHost reads the name of an ECR registry's host, private or public, of any partition. A host that is not
// ECR's is refused.
func ParseRegistryHost(name string) (RegistryHost, error) {
	host, err := splitRegistryHost(name)
	if err != nil {
		return RegistryHost{}, err
	}
	if host.Service == ServiceECRPublic {
		return host, nil
	}
	p, suffix := partitionOf(host.Region), hostSuffix(host.Name)
	if want := p.registrySuffix(host.DualStack); suffix != want || want == "" {
		return RegistryHost{}, failure.Permanent(hintRegistryHost, "registry host %.100q: region %s is of partition %s, whose registries do not end in .%s",
			name, host.Region, p.name, suffix)
	}
	host.Partition = p.name
	return host, nil
}

// splitRegistryHost reads all but the partition.
func splitRegistryHost(name string) (RegistryHost, error) {
	if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) { // some have lower cases in ASCII
		return RegistryHost{}, failure.Permanent(hintRegistryHost, "registry host %.100q is not one of Amazon ECR", name)
	}
	name = strings.ToLower(name)
	switch name {
	case "public.ecr.aws", "ecr-public.aws.com":
		return RegistryHost{Name: name, Service: ServiceECRPublic, Region: publicRegion, Partition: "aws", DualStack: name != "public.ecr.aws"}, nil
	}
	m := privateHost.FindStringSubmatch(name)
	if m == nil {
		return RegistryHost{}, failure.Permanent(hintRegistryHost, "registry host %.100q is not one of Amazon ECR", name)
	}
	if err := CheckRegion(m[4]); err != nil {
		return RegistryHost{}, err
	}
	return RegistryHost{Name: name, Service: ServiceECR, Account: m[1], Region: m[4], DualStack: m[2] == "-", FIPS: m[3] != ""}, nil
}

func hostSuffix(name string) string { return privateHost.FindStringSubmatch(name)[5] }

func (p partition) registrySuffix(dualStack bool) string {
	if dualStack {
		return p.dual
	}
	return p.suffix
}

// NewRegistryHost names the host of a private registry. suffix, where not "", takes the place of its partition's.
func NewRegistryHost(account, region, suffix string, fips, dualStack bool) (RegistryHost, error) {
	p := partitionOf(region)
	host := RegistryHost{Service: ServiceECR, Account: account, Region: region, Partition: p.name, FIPS: fips, DualStack: dualStack}
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
