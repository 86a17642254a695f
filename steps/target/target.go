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

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/xcom"
)

// BadList is the kind of a targets list that cannot be used, or of an entry of it.
const BadList failure.Kind = "bad targets list"

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

	at string // "targets[0]" where it comes from a list
}

// Parse reads a targets list: a JSON array of objects. Its error names all fields that cannot be read, each with its
// entry.
func Parse(text string) ([]Entry, error) {
	var list []map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &list) != nil || len(list) == 0 {
		return nil, failure.Permanent(BadList, "it is not a JSON list of objects, or it is empty")
	}
	var faults []error
	entries := make([]Entry, len(list))
	for i, values := range list {
		entries[i].at = fmt.Sprintf("targets[%d]", i)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if err := entries[i].set(name, values[name]); err != nil {
				faults = append(faults, entries[i].fault(err))
			}
		}
	}
	if len(faults) > 0 {
		return nil, failure.Join(faults)
	}
	return entries, nil
}

// set reads the value of a field, and looks at it alone.
func (e *Entry) set(name string, value json.RawMessage) error {
	field, known := e.fields()[name]
	text, isString := field.at.(*string)
	switch {
	case !known:
		return fmt.Errorf("%.40q is not a field of a target", name)
	case string(value) == "null" || json.Unmarshal(value, field.at) != nil:
		if isString {
			return fmt.Errorf("%s is not a string", name)
		}
		return fmt.Errorf("%s is not a boolean", name)
	case isString && *text == "":
		return fmt.Errorf("%s is empty", name)
	case isString && (len(*text) > maxField || !regexp.MustCompile(field.form).MatchString(*text)):
		return fmt.Errorf("%s %.80q is not %s", name, *text, field.want)
	}
	return nil
}

// field is where a field is kept. The value of a string has a form, as a regular expression and in words.
type field struct {
	at         any
	form, want string
}

// fields are those of an entry. AWS's names: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html;
// Resolve looks at those without a form. An endpoint is https, or http on loopback, for stand-ins.
func (e *Entry) fields() map[string]field {
	return map[string]field{
		"connection_id": {at: &e.ConnectionID},
		"registry":      {at: &e.Registry},
		"account":       {at: &e.Account},
		"region":        {at: &e.Region},
		"profile":       {&e.Profile, `^[^\[\]\n\r]+$`, "the name of a profile"},
		"role_arn": {&e.RoleARN, `^arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]{1,512}$`,
			"arn:PARTITION:iam::ACCOUNT:role/NAME"},
		"external_id":       {&e.ExternalID, `^[\w+=,.@:/-]{2,}$`, "2 to 1224 letters, digits and _+=,.@:/-"},
		"role_session_name": {&e.RoleSessionName, `^[\w+=,.@-]{2,64}$`, "2 to 64 letters, digits and _+=,.@-"},
		"fips":              {at: &e.FIPS},
		"dual_stack":        {at: &e.DualStack},
		"endpoint": {&e.Endpoint, `^(https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])|` +
			`http://(localhost|127(\.\d{1,3}){3}))(:\d{1,5})?/?$`, "https://HOST"},
		"partition_suffix": {&e.PartitionSuffix, `^[a-z0-9-]+(\.[a-z0-9-]+)+$`, "a name such as amazonaws.com"},
	}
}

// maxField bounds a field, in bytes: an external id, the longest one, has no more characters.
const maxField = 1224

// fault returns err with what it is about.
func (e Entry) fault(err error) error {
	if e.at == "" {
		return failure.Permanent("", "connection %q: %w", e.ConnectionID, err)
	}
	return failure.Permanent(BadList, "%s: %w", e.at, err)
}

// Resolve returns the targets of entries. hostOf returns a connection's host, or "": an account or a region that is
// missing is taken from it. The error names each entry that has a fault.
func Resolve(entries []Entry, hostOf func(connectionID string) string) ([]Target, error) {
	var faults []error
	var targets []Target
	seen := map[string]string{}
	for _, e := range entries {
		t, err := e.target(hostOf)
		if at, twice := seen[e.ConnectionID]; twice && err == nil {
			const form = "connection_id %q is in %s too: a connection holds one token"
			err = fmt.Errorf(form, e.ConnectionID, at)
		}
		if err != nil {
			faults = append(faults, e.fault(err))
		}
		seen[e.ConnectionID] = e.at
		targets = append(targets, t)
	}
	return targets, failure.Join(faults)
}

// Of returns the target of a connection, or of "", and the ECR registry at host, with AWS's default credentials.
func Of(connectionID, host string) (Target, error) {
	registry, err := ecr.ParseHost(host)
	return Entry{ConnectionID: connectionID}.of(registry), err
}

// of returns the entry's target, whose registry is host.
func (e Entry) of(host ecr.Host) Target {
	return Target{ConnectionID: e.ConnectionID, Registry: host, Source: ecr.Source{
		Identity: e.Identity, Service: host.Service, Region: host.Region,
		Endpoint: e.Endpoint, Suffix: e.PartitionSuffix,
		FIPS: host.FIPS || e.FIPS, DualStack: host.DualStack || e.DualStack,
	}}
}

func (e Entry) target(hostOf func(string) string) (Target, error) {
	if err := CheckConnectionID(e.ConnectionID); err != nil {
		return Target{}, err
	}
	host, err := e.host(hostOf)
	if err == nil {
		err = e.checkTogether(host)
	}
	return e.of(host), err
}

// checkTogether looks at what one field means for another.
func (e Entry) checkTogether(host ecr.Host) error {
	switch {
	case host.Service == ecr.Public && e.FIPS:
		return errors.New("fips: ECR Public has no FIPS endpoint")
	case host.Service == ecr.Public && e.PartitionSuffix != "":
		return errors.New("partition_suffix: ECR Public is in no other partition")
	case e.PartitionSuffix != "" && e.Endpoint == "" && (host.DualStack || e.DualStack):
		return errors.New("endpoint is missing: that of a dual-stack registry does not follow from partition_suffix")
	case e.RoleARN == "" && e.ExternalID+e.RoleSessionName != "":
		return errors.New("external_id and role_session_name have no effect without role_arn")
	}
	return nil
}

// host returns the registry: the one of the entry, or that of account and region, where what is missing comes from the
// connection's host.
func (e Entry) host(hostOf func(string) string) (ecr.Host, error) {
	if e.Registry != "" {
		host, err := ecr.ParseHostOf(e.Registry, e.PartitionSuffix)
		if err == nil && cmp.Or(e.Account, host.Account) != host.Account {
			err = fmt.Errorf("account %.40q is not that of registry", e.Account)
		} else if err == nil && cmp.Or(e.Region, host.Region) != host.Region {
			err = fmt.Errorf("region %.40q is not that of registry", e.Region)
		}
		return host, err
	}
	var known ecr.Host
	if e.Account == "" || e.Region == "" {
		name, err := hostOf(e.ConnectionID), error(nil)
		if known, err = ecr.ParseHost(name); err != nil || known.Service != ecr.Private {
			const form = "registry, or account and region, is missing, and the host of connection %q is %.100q, " +
				"not a private ECR registry"
			return ecr.Host{}, fmt.Errorf(form, e.ConnectionID, name)
		}
	}
	return ecr.NewHost(cmp.Or(e.Account, known.Account), cmp.Or(e.Region, known.Region), e.PartitionSuffix,
		e.FIPS || known.FIPS, e.DualStack || known.DualStack)
}

// CheckConnectionID returns an error unless Airflow accepts id as a connection id.
func CheckConnectionID(id string) error {
	if !xcom.IsConnectionID(id) {
		return failure.Permanent("", "connection id %.40q is not letters, digits, '_', '.' and '-'", id)
	}
	return nil
}
