package ecr

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/xrash/smetrics"

	"ecr-refresh/steps/failure"
)

// The services that issue tokens for Docker.
const (
	Private = "ecr"
	Public  = "ecr-public"
)

// NotECRHost is the kind of a host's name that is none of an ECR registry.
const NotECRHost failure.Kind = "not an ecr registry host"

// Host is what the name of an ECR registry's host says. What the name does not say is "".
type Host struct {
	Name      string `json:"registry"`   // in lower case, as Docker requires
	Account   string `json:"account"`    // 12 digits; "" for ECR Public
	Region    string `json:"region"`     //
	Partition string `json:"partition"`  // aws, aws-cn, …; "" where its suffix was configured
	Service   string `json:"service"`    // Private or Public
	FIPS      bool   `json:"fips"`       // the host is a FIPS endpoint
	DualStack bool   `json:"dual_stack"` // the host has IPv6 too
}

// partition is a part of AWS with its own accounts, regions and names.
type partition struct {
	name    string
	regions string // how the names of its regions start
	suffix  string // of registries and API endpoints
	dual    string // of dual-stack registries; "" where AWS documents none
}

// partitionOf knows the partitions as the AWS SDK does (internal/endpoints/awsrulesfn/partitions.json), and the
// dual-stack suffixes of https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html.
func partitionOf(region string) partition {
	all := []partition{
		{"aws-cn", "cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
		{"aws-us-gov", "us-gov-", "amazonaws.com", "on.aws"},
		{"aws-eusc", "eusc-", "amazonaws.eu", "on.amazonwebservices.eu"},
		{"aws-iso", "us-iso-", "c2s.ic.gov", ""},
		{"aws-iso-b", "us-isob-", "sc2s.sgov.gov", ""},
		{"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", ""},
		{"aws-iso-f", "us-isof-", "csp.hci.ic.gov", ""},
		{"aws", "", "amazonaws.com", "on.aws"},
	}
	return all[slices.IndexFunc(all, func(p partition) bool { return strings.HasPrefix(region, p.regions) })]
}

// privateHost is ACCOUNT.dkr.ecr[-fips].REGION.SUFFIX, and with "dkr-ecr" the dual-stack form.
var privateHost = regexp.MustCompile(`^(\d{12})\.dkr([.-])ecr(-fips)?\.([a-z0-9-]+)\.`)

// Bare returns the host in a registry's name as people paste it: with https://, a repository, its tag or digest, port
// 443, in upper case, between blanks. What is no such name is returned as it is.
func Bare(pasted string) string {
	if strings.ContainsFunc(pasted, func(r rune) bool { return r > '~' }) { // some become ASCII in lower case
		return pasted
	}
	name := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(pasted)), "https://")
	name, _, _ = strings.Cut(name, "/")
	return strings.TrimSuffix(name, ":443")
}

// ParseHost reads the name of an ECR registry's host, private or public, of any partition. suffix, where not "", takes
// the place of its partition's. It rejects every other name, and one that is not in lower case.
func ParseHost(name, suffix string) (Host, error) {
	if dual := name == "ecr-public.aws.com"; dual || name == "public.ecr.aws" {
		// docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html: no other region issues its tokens.
		return Host{Name: name, Service: Public, Region: "us-east-1", Partition: "aws", DualStack: dual}, nil
	}
	m := privateHost.FindStringSubmatch(name)
	if strings.Contains(name, "@") { // what stands before it may be a password
		return Host{}, failure.Permanent(NotECRHost, "registry host has a login in it")
	}
	if m == nil {
		return Host{}, failure.Permanent(NotECRHost, "registry host %.100q is not one of Amazon ECR", name)
	}
	host, err := NewHost(m[1], m[4], suffix, m[3] != "", m[2] == "-")
	if err != nil || host.Name == name {
		return host, err
	}
	const form = "registry host %.100q is not one of Amazon ECR: for that account and region it is %s"
	return Host{}, failure.Permanent(NotECRHost, form, name, host.Name)
}

// NewHost returns the host of a private registry. suffix, where not "", takes the place of its partition's.
func NewHost(account, region, suffix string, fips, dualStack bool) (Host, error) {
	host := Host{Service: Private, Account: account, Region: region, FIPS: fips, DualStack: dualStack}
	if err := CheckAccount(account); err != nil {
		return host, failure.Permanent("", "account is %w", err)
	}
	if err := CheckRegion(region); err != nil {
		return host, failure.Permanent("", "region is %w", err)
	}
	p, service := partitionOf(region), ".dkr.ecr"
	if dualStack {
		p.suffix, service = p.dual, ".dkr-ecr"
	}
	if suffix == "" {
		host.Partition, suffix = p.name, p.suffix
	}
	if suffix == "" {
		return host, failure.Permanent(NotECRHost, "partition %s has no dual-stack registries", p.name)
	}
	host.Name = account + service + ifFIPS(fips) + "." + region + "." + suffix
	return host, nil
}

func ifFIPS(fips bool) string { return map[bool]string{true: "-fips"}[fips] }

// CheckAccount returns an error, for "account is %w", unless account is an AWS account id. Want is what may be meant.
func CheckAccount(account string) error {
	why, meant := "such as 123456789012", strings.NewReplacer("-", "", " ", "").Replace(account)
	switch number := regexp.MustCompile(`^\d{11,12}$`).MatchString(meant); {
	case !number:
		meant = ""
	case len(meant) == 11:
		meant = "0" + meant
		why = "a leading zero may be lost: " + meant
	case meant == account:
		return nil
	default:
		why = "without dashes or blanks: " + meant
	}
	return failure.Permanent("", "%.40q, not an AWS account (%s)", account, why).Want(meant)
}

// CheckRegion returns an error as CheckAccount does unless region can be the name of an AWS region, maybe a new one.
func CheckRegion(region string) error {
	meant, zone := likeRegion(strings.ToLower(region))
	why := "did you mean " + meant + "?"
	switch wellFormed := regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+-\d+$`).MatchString(region); {
	case wellFormed && (meant == "" || meant == region):
		return nil
	case meant == "":
		why = "such as us-east-1"
	case zone:
		why = "an availability zone of " + meant
	case strings.ToLower(region) == meant:
		why = "in lower case: " + meant
	}
	return failure.Permanent("", "%.40q, not an AWS region (%s)", region, why).Want(meant)
}

// likeRegion returns the region that name resembles, or "", and whether name is one of its zones. All regions have a
// direction in their name: one that nearly is one was misspelt, and another word may be that of a new region.
func likeRegion(name string) (region string, zone bool) {
	const form = `^\s*([a-z]{2}(?:-gov|-iso[a-z]?|sc-de)?)[-_ ]*([a-z]+(?:[-_ ][a-z]+)?)[-_ 0]*(\d*)` +
		`([a-z]|-[a-z]{3}-\d+[a-z])?\s*$`
	m := regexp.MustCompile(form).FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	likeness := func(direction string) float64 { return smetrics.JaroWinkler(direction, m[2], 0.7, 4) }
	word := slices.MaxFunc(
		strings.Fields("north northeast east southeast south southwest west northwest central"),
		func(a, b string) int { return cmp.Compare(likeness(a), likeness(b)) })
	if likeness(word) < 0.85 {
		return "", false
	}
	return m[1] + "-" + word + "-" + cmp.Or(m[3], "1"), m[4] != ""
}
