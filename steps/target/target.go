// Package target reads what is to be refreshed: entries of ecr_targets, each one connection and its registry.
package target

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/xcom"
)

// Target is one Airflow connection, the registry that it logs in to, and who gets its token where.
type Target struct {
	ConnectionID string
	Registry     ecr.Host
	Source       ecr.Source
}

// Entry is one entry of a targets list, as ecr_targets.schema.json describes it.
type Entry struct {
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

// Parse reads a targets list: a JSON array of objects. All faults are told at once, each with its entry and
// field. The list comes with them, for Resolve to tell what else is wrong with it.
func Parse(text string) ([]Entry, error) {
	var entries []map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &entries) != nil || len(entries) == 0 {
		return nil, failure.Permanent(hintTargets, "it is not a JSON list of objects, or it is empty")
	}
	var faults []error
	declared := make([]Entry, len(entries))
	for i, entry := range entries {
		errs := declared[i].read(entry)
		declared[i].partly = len(errs) > 0
		for _, err := range errs {
			faults = append(faults, failure.Permanent(hintTargets, "targets[%d].%w", i, err))
		}
	}
	return declared, failure.Join(faults)
}

func (d *Entry) read(entry map[string]json.RawMessage) (faults []error) {
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

// Resolve makes targets of declarations. hostOf gives a connection's host, or "": it fills in an account or a region that
// is not declared. All faults are told at once; a connection that is named twice is one.
func Resolve(declared []Entry, hostOf func(connectionID string) string) ([]Target, error) {
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
			faults = append(faults, failure.Permanent(failure.Kind(cmp.Or(failure.Hint(err), hintTargets)), "targets[%d].%w", i, err))
		}
		targets = append(targets, t)
	}
	return targets, failure.Join(faults)
}

// Of is the target of a connection to the ECR registry at host, with what AWS's default credential chain finds. The
// connection may be "".
func Of(connectionID, host string) (Target, error) {
	registry, err := ecr.ParseHost(host)
	return Target{
		ConnectionID: connectionID,
		Registry:     registry,
		Source:       ecr.Source{Service: registry.Service, Region: registry.Region, FIPS: registry.FIPS, DualStack: registry.DualStack},
	}, err
}

func (d Entry) target(hostOf func(string) string) (Target, []error) {
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
		endpoint = cmp.Or(endpoint, "https://"+ecr.APIHost(host.Region, d.PartitionSuffix, host.FIPS))
		stsEndpoint = "https://sts." + host.Region + "." + d.PartitionSuffix
	}
	return Target{
		ConnectionID: d.ConnectionID,
		Registry:     host,
		Source: ecr.Source{
			Identity: ecr.Identity{Profile: d.Profile, RoleARN: d.RoleARN, ExternalID: d.ExternalID, RoleSessionName: d.RoleSessionName},
			Service:  host.Service, Region: host.Region, Endpoint: endpoint, STS: stsEndpoint,
			FIPS: host.FIPS || d.FIPS, DualStack: host.DualStack || d.DualStack,
		},
	}, faults
}

// checkForm refuses an endpoint's form that nobody can name.
func (d Entry) checkForm(host ecr.Host) error {
	switch {
	case host.Service == ecr.Public && d.FIPS:
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
func (d Entry) check() (faults []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fits := func(form, text string) bool { return text == "" || regexp.MustCompile(form).MatchString(text) }
	fault(!xcom.IsConnectionID(d.ConnectionID) && !(d.partly && d.ConnectionID == ""), "connection_id: %.40q is not letters, digits, '_', '.' and '-'", d.ConnectionID)
	fault(d.Account != "" && !ecr.IsAccount(d.Account), "account: %.40q is not 12 digits", d.Account)
	fault(d.Region != "" && !ecr.IsRegion(d.Region), "region: %.40q is not a region's name such as us-east-1", d.Region)
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
func (d Entry) registryHost(hostOf func(string) string) (ecr.Host, error) {
	if d.Registry != "" {
		return d.declaredHost()
	}
	account, region, fips, dual := d.Account, d.Region, d.FIPS, d.DualStack
	if account == "" || region == "" {
		name := hostOf(d.ConnectionID)
		if name == "" {
			return ecr.Host{}, fmt.Errorf("%s missing, and the connection's host is not known: give registry, or account and region", d.missing())
		}
		host, err := ecr.ParseHost(name)
		if err != nil || host.Service != ecr.Private {
			return ecr.Host{}, fmt.Errorf("%s missing, and the connection's host %.100q is not a private registry of ECR", d.missing(), name)
		}
		account, region = cmp.Or(account, host.Account), cmp.Or(region, host.Region)
		fips, dual = fips || host.FIPS, dual || host.DualStack
	}
	if !ecr.IsAccount(account) || !ecr.IsRegion(region) {
		return ecr.Host{}, nil // told by check
	}
	host, err := ecr.NewHost(account, region, d.PartitionSuffix, fips, dual)
	if err != nil {
		err = fmt.Errorf("dual_stack: %w", err)
	}
	return host, err
}

func (d Entry) missing() string {
	switch {
	case d.Account != "":
		return "region is"
	case d.Region != "":
		return "account is"
	}
	return "registry is"
}

// declaredHost reads the field registry. A suffix that is not known must be declared too.
func (d Entry) declaredHost() (ecr.Host, error) {
	host, err := ecr.ParseHost(d.Registry)
	if d.PartitionSuffix != "" {
		host, err = ecr.SplitHost(d.Registry)
		if err == nil && (host.Service != ecr.Private || ecr.HostSuffix(host.Name) != d.PartitionSuffix) {
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
	hintTargets = "see ecr_targets.schema.json: each target has connection_id, and registry or account and region"
)
