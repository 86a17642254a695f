// Package target reads what is to be refreshed: each target is one Airflow connection and its registry.
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

// Kinds of failure of targets. Facts of the three that are missing: Object is the connection.
const (
	BadList         failure.Kind = "bad targets list" // or an entry of it
	AccountMissing  failure.Kind = "aws account missing"
	RegionMissing   failure.Kind = "aws region missing"
	RegistryMissing failure.Kind = "registry missing" // both account and region
)

// Target is one Airflow connection, the registry that it logs in to, and the source of its token.
type Target struct {
	ConnectionID string
	Registry     ecr.Host
	Source       ecr.Source
}

// Entry is one entry of a targets list, as its JSON schema describes it.
type Entry struct {
	ConnectionID string `json:"connection_id"`
	Registry     string `json:"registry,omitempty"`
	Account      string `json:"account,omitempty"`
	Region       string `json:"region,omitempty"`
	ecr.Identity
	FIPS            bool   `json:"fips,omitempty"`
	DualStack       bool   `json:"dual_stack,omitempty"`
	Endpoint        string `json:"endpoint,omitempty"`
	PartitionSuffix string `json:"partition_suffix,omitempty"`

	at     string // "targets[0]." where it comes from a list
	partly bool   // a field of it could not be read: what follows from that is not reported
}

// Parse reads a targets list: a JSON array of objects. Its error names all that cannot be read, each with its entry and
// field. The list comes with the error, for Resolve to find what else is wrong with it.
func Parse(text string) ([]Entry, error) {
	var list []map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &list) != nil || len(list) == 0 {
		return nil, failure.Permanent(BadList, "it is not a JSON list of objects, or it is empty")
	}
	var faults []error
	entries := make([]Entry, len(list))
	for i, fields := range list {
		errs := entries[i].read(fields)
		entries[i].at, entries[i].partly = fmt.Sprintf("targets[%d].", i), len(errs) > 0
		faults = append(faults, entries[i].name(errs)...)
	}
	return entries, failure.Join(faults)
}

// name returns errs with the entry of the list that they are about.
func (e Entry) name(errs []error) []error {
	for i, err := range errs {
		if e.at != "" {
			errs[i] = failure.Permanent(BadList, "%s%w", e.at, err)
		}
	}
	return errs
}

func (e *Entry) read(values map[string]json.RawMessage) (faults []error) {
	fields := map[string]any{
		"connection_id": &e.ConnectionID, "registry": &e.Registry, "account": &e.Account, "region": &e.Region,
		"profile": &e.Profile, "role_arn": &e.RoleARN, "external_id": &e.ExternalID,
		"role_session_name": &e.RoleSessionName, "fips": &e.FIPS, "dual_stack": &e.DualStack,
		"endpoint": &e.Endpoint, "partition_suffix": &e.PartitionSuffix,
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		field, known := fields[name]
		value, kind := string(values[name]), "string"
		if _, ok := field.(*bool); ok {
			kind = "boolean"
		}
		switch {
		case !known:
			faults = append(faults, fmt.Errorf("%.40q is not a field of a target", name))
		case value == "null" || json.Unmarshal(values[name], field) != nil:
			faults = append(faults, fmt.Errorf("%s is not a %s", name, kind))
		case value == `""` && name != "connection_id":
			faults = append(faults, fmt.Errorf("%s is empty: leave it out", name))
		}
	}
	return faults
}

// Resolve returns the targets of entries. hostOf returns a connection's host, or "": an account or a region that is
// missing is taken from it. The error names all faults, those of a list each with its entry.
func Resolve(entries []Entry, hostOf func(connectionID string) string) ([]Target, error) {
	var faults []error
	var targets []Target
	first := map[string]string{}
	for _, e := range entries {
		t, errs := e.target(hostOf)
		if at, twice := first[e.ConnectionID]; twice && e.ConnectionID != "" {
			errs = append(errs, fmt.Errorf("connection_id: %.40q is in %s too: a connection holds one token",
				e.ConnectionID, strings.TrimSuffix(at, ".")))
		} else {
			first[e.ConnectionID] = e.at
		}
		faults = append(faults, e.name(errs)...)
		targets = append(targets, t)
	}
	return targets, failure.Join(faults)
}

// Of returns the target of a connection, or of "", and the ECR registry at host, with AWS's default credentials.
func Of(connectionID, host string) (Target, error) {
	registry, err := ecr.ParseHost(host)
	return Entry{ConnectionID: connectionID}.of(registry), err
}

func (e Entry) of(host ecr.Host) Target {
	return Target{e.ConnectionID, host, ecr.Source{
		Identity: e.Identity, Service: host.Service, Region: host.Region,
		Endpoint: e.Endpoint, Suffix: e.PartitionSuffix,
		FIPS: host.FIPS || e.FIPS, DualStack: host.DualStack || e.DualStack,
	}}
}

func (e Entry) target(hostOf func(string) string) (Target, []error) {
	faults := e.check()
	host, err := e.host(hostOf)
	switch {
	case err != nil:
	case host.Service == ecr.Public && e.FIPS:
		err = errors.New("fips: ECR Public has no FIPS endpoint")
	case e.PartitionSuffix != "" && e.Endpoint == "" && (host.DualStack || e.DualStack):
		err = errors.New("endpoint is missing: that of a dual-stack registry does not follow from partition_suffix")
	}
	if err != nil && !e.partly {
		faults = append(faults, err)
	}
	return e.of(host), faults
}

// check looks at each field alone. The forms of AWS's names:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (e Entry) check() (faults []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	unread := e.partly && e.ConnectionID == ""
	fault(!unread && !xcom.IsConnectionID(e.ConnectionID), "connection_id: "+notID, e.ConnectionID)
	fault(e.Account != "" && ecr.CheckAccount(e.Account) != nil, "account: %.40q is not 12 digits", e.Account)
	fault(e.Region != "" && ecr.CheckRegion(e.Region) != nil, "region: %.40q is not one such as us-east-1", e.Region)
	for _, field := range []struct{ name, value, form, want string }{
		{"role_arn", e.RoleARN, roleARN, "arn:PARTITION:iam::ACCOUNT:role/NAME"},
		{"role_session_name", e.RoleSessionName, `^[\w+=,.@-]{2,64}$`, "2 to 64 letters, digits and _+=,.@-"},
		{"profile", e.Profile, `^[^\[\]\n\r]+$`, "the name of a profile"},
		{"partition_suffix", e.PartitionSuffix, `^[a-z0-9-]+(\.[a-z0-9-]+)+$`, "a name such as amazonaws.com"},
		{"endpoint", e.Endpoint, endpointURL, "https://HOST"},
	} {
		fault(field.value != "" && !regexp.MustCompile(field.form).MatchString(field.value),
			"%s: %.80q is not %s", field.name, field.value, field.want)
	}
	id := e.ExternalID // whose length is beyond the repeats of a regexp
	fault(id != "" && (len(id) > 1224 || !regexp.MustCompile(externalID).MatchString(id)),
		"external_id is not 2 to 1224 letters, digits and _+=,.@:/-")
	fault(e.RoleARN == "" && e.ExternalID != "", "external_id has no effect without role_arn")
	fault(e.RoleARN == "" && e.RoleSessionName != "", "role_session_name has no effect without role_arn")
	return faults
}

const (
	roleARN    = `^arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]{1,512}$`
	externalID = `^[\w+=,.@:/-]{2,}$`
	// endpointURL is https, or http on loopback, for stand-ins.
	endpointURL = `^(https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])|http://(localhost|127(\.\d{1,3}){3}))(:\d{1,5})?/?$`
)

// host returns the registry: the one of the entry, or that of account and region, where what is missing comes from the
// connection's host.
func (e Entry) host(hostOf func(string) string) (ecr.Host, error) {
	if e.Registry != "" {
		return e.registry()
	}
	account, region, fips, dual := e.Account, e.Region, e.FIPS, e.DualStack
	if account == "" || region == "" {
		host, err := ecr.ParseHost(hostOf(e.ConnectionID))
		if err != nil || host.Service != ecr.Private {
			return ecr.Host{}, e.missing(hostOf(e.ConnectionID))
		}
		account, region = cmp.Or(account, host.Account), cmp.Or(region, host.Region)
		fips, dual = fips || host.FIPS, dual || host.DualStack
	}
	if ecr.CheckAccount(account) != nil || ecr.CheckRegion(region) != nil {
		return ecr.Host{}, nil // check reports it
	}
	host, err := ecr.NewHost(account, region, e.PartitionSuffix, fips, dual)
	if err != nil {
		err = fmt.Errorf("dual_stack: %w", err)
	}
	return host, err
}

func (e Entry) missing(host string) error {
	kind, field := RegistryMissing, "registry"
	if e.Account != "" {
		kind, field = RegionMissing, "region"
	} else if e.Region != "" {
		kind, field = AccountMissing, "account"
	}
	why := fmt.Sprintf("connection %q has host %.100q, which is not a private ECR registry", e.ConnectionID, host)
	if host == "" {
		why = fmt.Sprintf("the host of connection %q is not known", e.ConnectionID)
	}
	return failure.Permanent(kind, "%s is missing, and %s", field, why).About(e.ConnectionID)
}

func (e Entry) registry() (ecr.Host, error) {
	host, err := ecr.ParseHostOf(e.Registry, e.PartitionSuffix)
	switch {
	case err != nil:
		return host, fmt.Errorf("registry: %w", err)
	case e.Account != "" && e.Account != host.Account:
		return host, fmt.Errorf("account: %.40q is not the account of registry", e.Account)
	case e.Region != "" && e.Region != host.Region:
		return host, fmt.Errorf("region: %.40q is not the region of registry", e.Region)
	}
	return host, nil
}

const notID = "%.40q is not letters, digits, '_', '.' and '-'"

// CheckConnectionID returns an error unless Airflow accepts id as a connection id.
func CheckConnectionID(id string) error {
	if !xcom.IsConnectionID(id) {
		return failure.Permanent("", "connection id "+notID, id)
	}
	return nil
}
