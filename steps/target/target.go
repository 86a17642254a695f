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
	"unicode/utf8"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/untrusted"
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

// Parse reads a targets list: a JSON array of objects. Its error names each field that cannot be read.
func Parse(text string) ([]Entry, error) {
	var list []map[string]json.RawMessage
	err := json.Unmarshal([]byte(text), &list)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, failure.Permanent(BadList, "it is not JSON: %s", explain(text, syntax))
	}
	if err != nil || len(list) == 0 {
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

// explain returns where a fault of syntax is, and what it probably is, or encoding/json's words. It repeats one
// character alone: the rest may be a secret that was pasted.
func explain(text string, fault *json.SyntaxError) string {
	before, rest := text[:max(fault.Offset-1, 0)], text[max(fault.Offset-1, 0):]
	_, size := utf8.DecodeRuneInString(rest)
	line, column := strings.Count(before, "\n"), utf8.RuneCountInString(before[strings.LastIndex(before, "\n")+1:])
	what := regexp.MustCompile(`^invalid character '.+?' `).ReplaceAllString(fault.Error(), "")
	for _, likely := range [][2]string{ // of the character and encoding/json's words
		{`^\x{feff}`, "remove this byte order mark (BOM)"},
		{"^['`‘’“”„].*looking", `strings stand between "`},
		{`^[]},].*looking`, "a comma too many before it"},
		{`^[^]}].*after (array|object key:)`, "a comma is missing before it"},
		{`^[\r\n].*in string`, "a quote is missing before it"},
	} {
		if regexp.MustCompile("(?s)" + likely[0]).MatchString(rest[:size] + fault.Error()) {
			what = likely[1]
			break
		}
	}
	return fmt.Sprintf("line %d, column %d, at %q: %s", line+1, column+1, rest[:size], what)
}

// set reads the value of a field, and looks at it alone.
func (e *Entry) set(name string, value json.RawMessage) error {
	const longest = 1224 // an external id
	field, known := e.fields()[name]
	text, isString := field.at.(*string)
	switch {
	case !known:
		return fmt.Errorf("%.40q is not a field of a target", name)
	case string(value) == "null" || json.Unmarshal(value, field.at) != nil:
		return fmt.Errorf("%s is not %s", name, field.want)
	case isString && *text == "":
		return fmt.Errorf("%s is empty", name)
	case isString && (len(*text) > longest || !regexp.MustCompile(field.form).MatchString(*text)):
		return fmt.Errorf("%s %q is not %s", name, untrusted.New(*text), field.want)
	}
	return nil
}

// field is where a field is kept. Its value has a form: of a string as a regular expression, of all in words.
type field struct {
	at         any
	form, want string
}

// fields are those of an entry. AWS's names: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html;
// Resolve looks at those without a form. An endpoint is https, or http on loopback, for stand-ins.
func (e *Entry) fields() map[string]field {
	return map[string]field{
		"connection_id": {&e.ConnectionID, "", "a string"},
		"registry":      {&e.Registry, "", "a string"},
		"account":       {&e.Account, "", "a string"},
		"region":        {&e.Region, "", "a string"},
		"profile":       {&e.Profile, `^[^\[\]\n\r]+$`, "the name of a profile"},
		"role_arn": {&e.RoleARN, `^arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]{1,512}$`,
			"arn:PARTITION:iam::ACCOUNT:role/NAME"},
		"external_id":       {&e.ExternalID, `^[\w+=,.@:/-]{2,}$`, "2 to 1224 letters, digits and _+=,.@:/-"},
		"role_session_name": {&e.RoleSessionName, `^[\w+=,.@-]{2,64}$`, "2 to 64 letters, digits and _+=,.@-"},
		"fips":              {&e.FIPS, "", "a boolean"},
		"dual_stack":        {&e.DualStack, "", "a boolean"},
		"endpoint": {&e.Endpoint, `^(https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])|` +
			`http://(localhost|127(\.\d{1,3}){3}))(:\d{1,5})?/?$`, "https://HOST"},
		"partition_suffix": {&e.PartitionSuffix, `^[a-z0-9-]+(\.[a-z0-9-]+)+$`, "a name such as amazonaws.com"},
	}
}

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
		host, err := e.host(hostOf)
		err = cmp.Or(xcom.CheckConnectionID(e.ConnectionID), err, e.checkTogether(host))
		if at, twice := seen[e.ConnectionID]; twice && err == nil {
			err = fmt.Errorf("connection_id %q is in %s too: a connection holds one token", e.ConnectionID, at)
		}
		if err != nil {
			faults = append(faults, e.fault(err))
		}
		seen[e.ConnectionID] = e.at
		targets = append(targets, e.of(host))
	}
	return targets, failure.Join(faults)
}

// Of returns the target of no connection, and the ECR registry at host, with AWS's default credentials.
func Of(host string) (Target, error) {
	registry, err := ecr.ParseHost(ecr.Bare(host), "")
	return Entry{}.of(registry), err
}

// of returns the entry's target, whose registry is host.
func (e Entry) of(host ecr.Host) Target {
	return Target{ConnectionID: e.ConnectionID, Registry: host, Source: ecr.Source{
		Identity: e.Identity, Service: host.Service, Region: host.Region,
		Endpoint: e.Endpoint, Suffix: e.PartitionSuffix,
		FIPS: host.FIPS || e.FIPS, DualStack: host.DualStack || e.DualStack,
	}}
}

// checkTogether looks at what one field means for another.
func (e Entry) checkTogether(host ecr.Host) error {
	switch {
	case cmp.Or(e.Account, host.Account) != host.Account:
		return fmt.Errorf("account %.40q is not that of registry", e.Account)
	case cmp.Or(e.Region, host.Region) != host.Region:
		return fmt.Errorf("region %.40q is not that of registry", e.Region)
	case host.Service == ecr.Public && (e.FIPS || e.PartitionSuffix != ""):
		return errors.New("ECR Public has no fips and no partition_suffix")
	case e.PartitionSuffix != "" && e.Endpoint == "" && (host.DualStack || e.DualStack):
		return errors.New("endpoint is missing: that of a dual-stack registry does not follow from partition_suffix")
	case e.RoleARN == "" && e.ExternalID+e.RoleSessionName != "":
		return errors.New("external_id and role_session_name have no effect without role_arn")
	}
	return nil
}

// host returns the registry of the entry, or that of its account and region; what is missing the connection's host has.
func (e Entry) host(hostOf func(string) string) (ecr.Host, error) {
	if e.Registry != "" {
		host, err := ecr.ParseHost(ecr.Bare(e.Registry), e.PartitionSuffix)
		if err != nil && strings.Contains(e.Registry, "@") { // of a password, or of a digest
			_, err = ecr.ParseHost("@", "")
		}
		return host, err
	}
	var known ecr.Host
	if e.Account == "" || e.Region == "" {
		var err error
		name := hostOf(e.ConnectionID)
		if known, err = ecr.ParseHost(name, ""); err != nil || known.Service != ecr.Private {
			const form = "registry, or account and region, is missing, and host %.100q of connection %q is not that " +
				"of a private registry"
			return ecr.Host{}, fmt.Errorf(form, name, e.ConnectionID)
		}
	}
	return ecr.NewHost(cmp.Or(e.Account, known.Account), cmp.Or(e.Region, known.Region), e.PartitionSuffix,
		e.FIPS || known.FIPS, e.DualStack || known.DualStack)
}
