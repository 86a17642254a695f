package steps

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/xcom"
)

// Target is one Airflow connection, the registry that it logs in to, and who gets its token where.
type Target struct {
	ConnectionID string
	Registry     RegistryHost
	Declared     bool // the registry's name was given: ECR's answer does not change it
	Source       TokenSource
}

// TokenSource is what decides which token ECR gives: a token is good for every account's registry of its region that its
// identity may reach.
type TokenSource struct {
	AWSIdentity
	Service   string // ServiceECR or ServiceECRPublic
	Region    string
	Endpoint  string // https://HOST of ECR's API, in place of the SDK's own; then FIPS and DualStack change nothing
	STS       string // https://HOST of STS, in place of the SDK's own
	FIPS      bool   // ask the FIPS endpoint
	DualStack bool   // ask the endpoint that has IPv6 too
}

// AWSIdentity is who asks for a token. The zero value is what AWS's default credential chain finds.
type AWSIdentity struct {
	Profile         string // of ~/.aws/config
	RoleARN         string // to assume
	ExternalID      string // that the role's trust policy wants
	RoleSessionName string // as CloudTrail shows it; "": ecr-refresh
}

// Declaration is one entry of a targets list, as ecr_targets.schema.json describes it.
type Declaration struct {
	ConnectionID    string `json:"connection_id"`
	Registry        string `json:"registry,omitempty"`
	Account         string `json:"account,omitempty"`
	Region          string `json:"region,omitempty"`
	Profile         string `json:"profile,omitempty"`
	RoleARN         string `json:"role_arn,omitempty"`
	ExternalID      string `json:"external_id,omitempty"`
	RoleSessionName string `json:"role_session_name,omitempty"`
	FIPS            bool   `json:"fips,omitempty"`
	DualStack       bool   `json:"dual_stack,omitempty"`
	Endpoint        string `json:"endpoint,omitempty"`
	PartitionSuffix string `json:"partition_suffix,omitempty"`

	partly bool // a field of it could not be read: what follows from that is not told
}

// ParseDeclarations reads a targets list: a JSON array of objects. All faults are told at once, each with its entry and
// field. The list comes with them, for Targets to tell what else is wrong with it.
func ParseDeclarations(text string) ([]Declaration, error) {
	var entries []map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &entries) != nil || len(entries) == 0 {
		return nil, failure.Permanent(hintTargets, "it is not a JSON list of objects, or it is empty")
	}
	var faults []error
	declared := make([]Declaration, len(entries))
	for i, entry := range entries {
		errs := declared[i].read(entry)
		declared[i].partly = len(errs) > 0
		for _, err := range errs {
			faults = append(faults, failure.Permanent(hintTargets, "targets[%d].%w", i, err))
		}
	}
	return declared, failure.Join(faults)
}

func (d *Declaration) read(entry map[string]json.RawMessage) (faults []error) {
	fields := map[string]any{
		"connection_id": &d.ConnectionID, "registry": &d.Registry, "account": &d.Account, "region": &d.Region,
		"profile": &d.Profile, "role_arn": &d.RoleARN, "external_id": &d.ExternalID, "role_session_name": &d.RoleSessionName,
		"fips": &d.FIPS, "dual_stack": &d.DualStack, "endpoint": &d.Endpoint, "partition_suffix": &d.PartitionSuffix,
	}
	for _, name := range slices.Sorted(maps.Keys(entry)) {
		into, known := fields[name]
		switch {
		case !known:
			faults = append(faults, fmt.Errorf("%.40q is not a field of a target", name))
		case string(entry[name]) == "null" || json.Unmarshal(entry[name], into) != nil:
			faults = append(faults, fmt.Errorf("%s is not a %s", name, kindOf(into)))
		case string(entry[name]) == `""` && into != &d.ConnectionID:
			faults = append(faults, fmt.Errorf("%s is empty: leave it out", name))
		}
	}
	return faults
}

func kindOf(into any) string {
	if _, ok := into.(*bool); ok {
		return "boolean"
	}
	return "string"
}

// Targets makes targets of declarations. hostOf gives a connection's host, or "": it fills in an account or a region that
// is not declared. All faults are told at once; a connection that is named twice is one.
func Targets(declared []Declaration, hostOf func(connectionID string) string) ([]Target, error) {
	var faults []error
	var targets []Target
	first := map[string]int{}
	for i, d := range declared {
		t, errs := d.target(hostOf)
		if at, twice := first[d.ConnectionID]; twice && d.ConnectionID != "" {
			errs = append(errs, fmt.Errorf("connection_id: %.40q stands in targets[%d] too: a connection holds one token", d.ConnectionID, at))
		} else {
			first[d.ConnectionID] = i
		}
		for _, err := range errs {
			faults = append(faults, failure.Permanent(cmp.Or(failure.Hint(err), hintTargets), "targets[%d].%w", i, err))
		}
		targets = append(targets, t)
	}
	return targets, failure.Join(faults)
}

// TargetOf is the target of a connection to the ECR registry at host, with what AWS's default credential chain finds. The
// connection may be "".
func TargetOf(connectionID, host string) (Target, error) {
	registry, err := ParseRegistryHost(host)
	return Target{
		ConnectionID: connectionID,
		Registry:     registry,
		Declared:     true,
		Source:       TokenSource{Service: registry.Service, Region: registry.Region, FIPS: registry.FIPS, DualStack: registry.DualStack},
	}, err
}

func (d Declaration) target(hostOf func(string) string) (Target, []error) {
	faults := d.check()
	host, err := d.registryHost(hostOf)
	if err == nil {
		err = d.checkForm(host)
	}
	if err != nil && !d.partly {
		faults = append(faults, err)
	}
	endpoint, stsEndpoint := d.Endpoint, ""
	if d.PartitionSuffix != "" {
		endpoint = cmp.Or(endpoint, "https://api.ecr"+ifFIPS(host.FIPS)+"."+host.Region+"."+d.PartitionSuffix)
		stsEndpoint = "https://sts." + host.Region + "." + d.PartitionSuffix
	}
	return Target{
		ConnectionID: d.ConnectionID,
		Registry:     host,
		Declared:     d.Registry != "" || d.PartitionSuffix != "" || host.FIPS || host.DualStack,
		Source: TokenSource{
			AWSIdentity: AWSIdentity{d.Profile, d.RoleARN, d.ExternalID, d.RoleSessionName},
			Service:     host.Service, Region: host.Region, Endpoint: endpoint, STS: stsEndpoint,
			FIPS: host.FIPS || d.FIPS, DualStack: host.DualStack || d.DualStack,
		},
	}, faults
}

// checkForm refuses an endpoint's form that nobody can name.
func (d Declaration) checkForm(host RegistryHost) error {
	switch {
	case host.Service == ServiceECRPublic && d.FIPS:
		return errors.New("fips: ECR Public has no FIPS endpoint")
	case d.PartitionSuffix != "" && d.Endpoint == "" && (host.DualStack || d.DualStack):
		return errors.New("endpoint is missing: partition_suffix does not tell where a dual-stack one is")
	}
	return nil
}

// The forms of AWS's names: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html. They are compiled where
// they are used: most runs use none.
const (
	roleARN           = `^arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]{1,512}$`
	externalID        = `^[\w+=,.@:/-]{2,}$`
	longestExternalID = 1224
	roleSessionName   = `^[\w+=,.@-]{2,64}$`
	suffixOfHost      = `^[a-z0-9-]+(\.[a-z0-9-]+)+$`
	// http only on loopback, for stand-ins
	endpointURLs = `^(https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])|http://(localhost|127(\.\d{1,3}){3}))(:\d{1,5})?/?$`
)

// check looks at each field alone.
func (d Declaration) check() (faults []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fits := func(form, text string) bool { return text == "" || regexp.MustCompile(form).MatchString(text) }
	fault(!xcom.IsConnectionID(d.ConnectionID) && !(d.partly && d.ConnectionID == ""), "connection_id: %.40q is not letters, digits, '_', '.' and '-'", d.ConnectionID)
	fault(d.Account != "" && !accountID.MatchString(d.Account), "account: %.40q is not 12 digits", d.Account)
	fault(d.Region != "" && !regionName.MatchString(d.Region), "region: %.40q is not a region's name such as us-east-1", d.Region)
	fault(!fits(roleARN, d.RoleARN), "role_arn: %.80q is not arn:PARTITION:iam::ACCOUNT:role/NAME", d.RoleARN)
	fault(!fits(externalID, d.ExternalID) || len(d.ExternalID) > longestExternalID, "external_id is not 2 to 1224 of the characters that AWS allows")
	fault(!fits(roleSessionName, d.RoleSessionName), "role_session_name: %.40q is not 2 to 64 letters, digits and _+=,.@-", d.RoleSessionName)
	fault(d.RoleARN == "" && d.ExternalID != "", "external_id is of no use without role_arn")
	fault(d.RoleARN == "" && d.RoleSessionName != "", "role_session_name is of no use without role_arn")
	fault(strings.ContainsAny(d.Profile, "[]\n\r"), "profile: %.40q is not the name of a profile", d.Profile)
	fault(!fits(suffixOfHost, d.PartitionSuffix), "partition_suffix: %.60q is not a name such as amazonaws.com", d.PartitionSuffix)
	fault(!fits(endpointURLs, d.Endpoint), "endpoint: %.80q is not https://HOST", d.Endpoint)
	return faults
}

// registryHost is the declared one, or is named after account and region; what is missing comes from the connection's host.
func (d Declaration) registryHost(hostOf func(string) string) (RegistryHost, error) {
	if d.Registry != "" {
		return d.declaredHost()
	}
	account, region, fips, dual := d.Account, d.Region, d.FIPS, d.DualStack
	if account == "" || region == "" {
		name := hostOf(d.ConnectionID)
		if name == "" {
			return RegistryHost{}, fmt.Errorf("%s missing, and the connection's host is not known: give registry, or account and region", d.missing())
		}
		host, err := ParseRegistryHost(name)
		if err != nil || host.Service != ServiceECR {
			return RegistryHost{}, fmt.Errorf("%s missing, and the connection's host %.100q is not a private registry of ECR", d.missing(), name)
		}
		account, region = cmp.Or(account, host.Account), cmp.Or(region, host.Region)
		fips, dual = fips || host.FIPS, dual || host.DualStack
	}
	if !accountID.MatchString(account) || !regionName.MatchString(region) {
		return RegistryHost{}, nil // told by check
	}
	host, err := NewRegistryHost(account, region, d.PartitionSuffix, fips, dual)
	if err != nil {
		err = fmt.Errorf("dual_stack: %w", err)
	}
	return host, err
}

func (d Declaration) missing() string {
	switch {
	case d.Account != "":
		return "region is"
	case d.Region != "":
		return "account is"
	}
	return "registry is"
}

// declaredHost reads the field registry. A suffix that is not known must be declared too.
func (d Declaration) declaredHost() (RegistryHost, error) {
	host, err := ParseRegistryHost(d.Registry)
	if d.PartitionSuffix != "" {
		host, err = splitRegistryHost(d.Registry)
		if err == nil && (host.Service != ServiceECR || hostSuffix(host.Name) != d.PartitionSuffix) {
			err = fmt.Errorf("%.100q does not end in partition_suffix", d.Registry)
		}
	}
	switch {
	case err != nil:
		return host, fmt.Errorf("registry: %w", err)
	case d.Registry != host.Name:
		return host, fmt.Errorf("registry: %.100q is not in lower case", d.Registry)
	case d.Account != "" && d.Account != host.Account:
		return host, fmt.Errorf("account: %.40q is not the account of registry", d.Account)
	case d.Region != "" && d.Region != host.Region:
		return host, fmt.Errorf("region: %.40q is not the region of registry", d.Region)
	}
	return host, nil
}

// CheckConnectionID refuses what Airflow would not take as a connection id.
func CheckConnectionID(id string) error {
	if !xcom.IsConnectionID(id) {
		return failure.Permanent("", "connection id %.40q is not letters, digits, '_', '.' and '-'", id)
	}
	return nil
}

const (
	hintTargets      = "see ecr_targets.schema.json: each target has connection_id, and registry or account and region"
	hintRegistryHost = "ACCOUNT.dkr.ecr.REGION.amazonaws.com, its FIPS, dual-stack and other partitions' forms, or public.ecr.aws; declare a new suffix as partition_suffix"
)
