package sandbox

import (
	"regexp"
	"strings"
)

// partition is a part of AWS: how its regions start, and what its names end in.
type partition struct {
	regions      string
	suffix       string // of private registries and of APIs
	dualAPI      string // of dual-stack APIs
	dualRegistry string // of dual-stack registries; "" where none is documented
}

// partitionOf returns the partition of a region. Regions xx-… are of one that no SDK knows.
func partitionOf(region string) partition {
	for _, p := range []partition{
		{"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "on.amazonwebservices.com.cn"},
		{"eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "on.amazonwebservices.eu"},
		{"us-iso-", "c2s.ic.gov", "", ""},
		{"us-isob-", "sc2s.sgov.gov", "", ""},
		{"eu-isoe-", "cloud.adc-e.uk", "", ""},
		{"us-isof-", "csp.hci.ic.gov", "", ""},
		{"xx-", "aws.example", "", ""},
	} {
		if strings.HasPrefix(region, p.regions) {
			return p
		}
	}
	return partition{"", "amazonaws.com", "api.aws", "on.aws"}
}

// regionAndSuffix is what follows the start of a host's name.
const regionAndSuffix = `\.([a-z]{2,}(?:-[a-z0-9]+)+-\d+)\.([a-z0-9.-]+)$`

// The names of AWS's APIs and registries.
var (
	apiName               = regexp.MustCompile(`^api\.ecr(?:-fips)?` + regionAndSuffix)
	dualStackAPIName      = regexp.MustCompile(`^ecr(?:-fips)?` + regionAndSuffix)
	publicAPIName         = regexp.MustCompile(`^api\.ecr-public` + regionAndSuffix)
	dualStackPublicName   = regexp.MustCompile(`^ecr-public` + regionAndSuffix)
	stsName               = regexp.MustCompile(`^sts` + regionAndSuffix)
	registryName          = regexp.MustCompile(`^\d{12}\.dkr\.ecr(?:-fips)?` + regionAndSuffix)
	dualStackRegistryName = regexp.MustCompile(`^\d{12}\.dkr-ecr(?:-fips)?` + regionAndSuffix)
)

// regionIn returns the region in a host of these names, where the suffix is that of the region's partition; else "".
func regionIn(host string, name *regexp.Regexp, suffix func(partition) string) string {
	m := name.FindStringSubmatch(hostname(host))
	if m == nil || m[2] != suffix(partitionOf(m[1])) {
		return ""
	}
	return m[1]
}

func ofNames(p partition) string          { return p.suffix }
func ofDualStackAPIs(p partition) string  { return p.dualAPI }
func ofDualStackHosts(p partition) string { return p.dualRegistry }

// ecrHost returns the region in the name of an ECR API and the suffix of its registries, or nothing.
func ecrHost(host string) (region, suffix string) {
	region = regionIn(host, apiName, ofNames) + regionIn(host, dualStackAPIName, ofDualStackAPIs)
	if region == "" {
		return "", ""
	}
	return region, partitionOf(region).suffix
}

// publicHost returns the region in the name of an ECR Public API, or "".
func publicHost(host string) string {
	return regionIn(host, publicAPIName, ofNames) + regionIn(host, dualStackPublicName, ofDualStackAPIs)
}

// stsRegion returns the region in the name of a regional STS endpoint, or "".
func stsRegion(host string) string {
	return regionIn(host, stsName, ofNames) + regionIn(host, stsName, ofDualStackAPIs)
}

// publicRegistry is the region of the tokens that ECR Public's registries take.
const publicRegistry = "public"

// registryRegion returns the region in the name of a private registry, publicRegistry, or "".
func registryRegion(host string) string {
	switch hostname(host) {
	case "public.ecr.aws", "ecr-public.aws.com":
		return publicRegistry
	}
	return regionIn(host, registryName, ofNames) + regionIn(host, dualStackRegistryName, ofDualStackHosts)
}
