package target_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/target"
)

const schemaFile = "../../ecr_targets.schema.json"

func noHost(string) string { return "" }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// list returns the targets list of one entry, where text is not a list already. Words in capitals stand for fields.
func list(text string) string {
	if !strings.ContainsAny(text[:1], "[{x") {
		text = `[{"connection_id":"a",` + text + `}]`
	}
	return strings.NewReplacer("REGISTRY", `"registry":"123456789012.dkr.ecr.us-east-1.amazonaws.com"`,
		"ACCOUNT", `"account":"123456789012"`, "NEWREGION", `"region":"xx-new-1"`,
		"SUFFIX", `"partition_suffix":"aws.example"`,
		"ROLE", `"role_arn":"arn:aws:iam::123456789012:role/x/y"`).Replace(text)
}

func parse(text string, hostOf func(string) string) ([]target.Target, error) {
	entries, err := target.Parse(list(text))
	if err != nil {
		return nil, err
	}
	return target.Resolve(entries, hostOf)
}

// Lists that the schema and the program must both accept or both reject.
var lists = []struct{ name, text, want string }{
	{"registry", `REGISTRY`, ""},
	{"all fields", `ACCOUNT,"region":"eu-west-1","profile":"p",ROLE,"external_id":"id:1","role_session_name":"me",
		"fips":true,"dual_stack":true`, ""},
	{"new partition", `ACCOUNT,NEWREGION,SUFFIX`, ""},
	{"new partition's registry", `"registry":"123456789012.dkr.ecr.xx-new-1.aws.example",SUFFIX`, ""},
	{"no list", `{"connection_id":"a"}`, "not a JSON list"},
	{"empty", `[]`, "it is empty"},
	{"unknown field", `REGISTRY,"acount":"1"`, `"acount" is not a field of a target`},
	{"wrong kind", `REGISTRY,"fips":"yes"`, "fips is not a boolean"},
	{"null", `"registry":null`, "registry is not a string"},
	{"no id", `[{REGISTRY}]`, "connection id"},
	{"bad id", `[{"connection_id":"a/b",REGISTRY}]`, "connection id"},
	{"bad account", `"account":"12345","region":"us-east-1"`, "account"},
	{"bad region", `ACCOUNT,"region":"us_east"`, "region"},
	{"not ECR's", `"registry":"docker.io"`, "registry"},
	{"external id alone", `REGISTRY,"external_id":"id"`, "no effect without role_arn"},
	{"session name alone", `REGISTRY,"role_session_name":"me"`, "no effect without role_arn"},
	{"endpoint with a login", `REGISTRY,"endpoint":"https://u:p@ecr.example.com"`,
		`endpoint "…@ecr.example.com" is not`},
	{"bad suffix", `ACCOUNT,"region":"us-east-1","partition_suffix":"/"`, "partition_suffix"},
	{"endpoint with a port", `REGISTRY,"endpoint":"https://[2600:1f14::1]:8443/"`, ""},
	{"endpoint of a stand-in", `REGISTRY,"endpoint":"http://127.0.0.1:5000"`, ""},
	{"endpoint like a stand-in's", `REGISTRY,"endpoint":"http://127.0.0.1.evil.example"`, "endpoint"},
	{"endpoint with no host", `REGISTRY,"endpoint":"https://:443"`, "endpoint"},
	{"endpoint with a path", `REGISTRY,"endpoint":"https://ecr.example.com/x"`, "endpoint"},
	{"empty field", `REGISTRY,"profile":""`, "profile is empty"},
	{"entry that is null", `[null]`, "targets"},
	{"words behind the list", `[{"connection_id":"a",REGISTRY}] x`, "after top-level value"},
	{"long id", `[{"connection_id":"` + strings.Repeat("a", 201) + `",REGISTRY}]`, "connection id"},
	{"field in capitals", `REGISTRY,"Region":"us-east-1"`, `"Region" is not a field`},
	{"short external id", `REGISTRY,ROLE,"external_id":"i"`, "external_id"},
	{"long external id", `REGISTRY,ROLE,"external_id":"` + strings.Repeat("i", 1225) + `"`, "external_id"},
	{"longest external id", `REGISTRY,ROLE,"external_id":"` + strings.Repeat("i", 1224) + `"`, ""},
	{"long session name", `REGISTRY,ROLE,"role_session_name":"` + strings.Repeat("n", 65) + `"`, "role_session_name"},
	{"role of another kind", `REGISTRY,"role_arn":"arn:aws:iam::123456789012:user/x"`, "role_arn"},
	{"profile of two lines", `REGISTRY,"profile":"a\nb"`, "profile"},
	{"dual-stack in a new partition",
		`"registry":"123456789012.dkr.ecr.xx-new-1.aws.example",SUFFIX,"dual_stack":true`, "endpoint is missing"},
	{"dual-stack registry of a new partition",
		`"registry":"123456789012.dkr-ecr.xx-new-1.aws.example",SUFFIX`, "endpoint is missing"},
	{"dual-stack in a new partition, with its endpoint",
		`ACCOUNT,NEWREGION,SUFFIX,"dual_stack":true,"endpoint":"https://ecr.xx-new-1.api.example"`, ""},
	{"public with its region", `"registry":"ecr-public.aws.com","region":"us-east-1","dual_stack":true`, ""},
	{"public elsewhere", `"registry":"public.ecr.aws","region":"us-west-2"`, "region"},
	{"public with FIPS", `"registry":"public.ecr.aws","fips":true`, "fips"},
	{"public in a new partition", `"registry":"public.ecr.aws","partition_suffix":"ecr.aws"`, "partition_suffix"},
	{"public with an account", `"registry":"public.ecr.aws",ACCOUNT`, "account"},
}

func TestSchemaAndProgramAgree(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	must(t, err)
	for _, row := range lists {
		_, err := parse(row.text, noHost)
		kind, _ := failure.Describe(err)
		if row.want == "" {
			must(t, err)
		} else if !strings.Contains(fmt.Sprint(err), row.want) || kind != target.BadList || !failure.IsPermanent(err) {
			t.Errorf("%s: kind %q: %v, want %q in it", row.name, kind, err, row.want)
		}
		var value any
		valid := json.Unmarshal([]byte(list(row.text)), &value) == nil && schema.Validate(value) == nil
		if valid != (row.want == "") {
			t.Errorf("%s: valid for the schema: %v", row.name, valid)
		}
	}
}

// A registry may have the digest of an image behind it.
func TestRegistryWithADigest(t *testing.T) {
	t.Parallel()
	const host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	targets, err := parse(`[{"connection_id":"a","registry":"`+host+`/repo@sha256:1"}]`, noHost)
	if err != nil || targets[0].Registry.Name != host {
		t.Errorf("%+v, %v", targets, err)
	}
}

// What no schema can say: what is in two entries, in two fields, or in the connection. The first pass names each field
// that cannot be read.
func TestTargetsBeyondTheSchema(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, want string }{
		{`[{"connection_id":"a",REGISTRY},{"connection_id":"b",REGISTRY},{"connection_id":"a",REGISTRY}]`,
			`targets[2]: connection_id "a" is in targets[0] too: a connection holds one token`},
		{`"registry":"me:S3/CRET@123456789012.dkr.ecr.us-east-1.amazonaws.com"`,
			`targets[0]: registry host has a login in it`},
		{`REGISTRY,"account":"210987654321"`, `targets[0]: account "210987654321" is not that of registry`},
		{`REGISTRY,"region":"eu-west-1"`, `targets[0]: region "eu-west-1" is not that of registry`},
		{`"region":"us-east-1"`, `targets[0]: registry, or account and region, is missing, and ` +
			`host "" of connection "a" is not that of a private registry`},
		{`ACCOUNT,"region":"us-iso-east-1","dual_stack":true`,
			"targets[0]: partition aws-iso has no dual-stack registries"},
		{`"registry":"123456789012.dkr.ecr.xx-new-1.other.example",SUFFIX`, `targets[0]: registry host ` +
			`"123456789012.dkr.ecr.xx-new-1.other.example" is not one of Amazon ECR: for that account and region it ` +
			`is 123456789012.dkr.ecr.xx-new-1.aws.example`},
		{`[{"connection_id":7,"registry":null,"account":"1"},{"connection_id":"b","role_arn":"x","fips":1}]`,
			`targets[0]: connection_id is not a string; targets[0]: registry is not a string; ` +
				`targets[1]: fips is not a boolean; ` +
				`targets[1]: role_arn "x" is not arn:PARTITION:iam::ACCOUNT:role/NAME`},
	} {
		if _, err := parse(row.text, noHost); fmt.Sprint(err) != row.want {
			t.Errorf("%s:\n%v\nwant\n%s", row.text, err, row.want)
		}
	}
}

func TestConnectionsHost(t *testing.T) {
	t.Parallel()
	const host = "210987654321.dkr.ecr-fips.eu-west-1.amazonaws.com"
	for text, want := range map[string]string{
		`[{"connection_id":"a"}]`: host,
		`"region":"eu-central-1"`: "210987654321.dkr.ecr-fips.eu-central-1.amazonaws.com",
		`ACCOUNT`:                 "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com",
		`"dual_stack":true`:       "210987654321.dkr-ecr-fips.eu-west-1.on.aws",
	} {
		targets, err := parse(text, func(string) string { return host })
		must(t, err)
		if targets[0].Registry.Name != want || !targets[0].Source.FIPS {
			t.Errorf("%s: %+v", text, targets[0])
		}
	}
}

// An entry that comes from no list is not named as one.
func TestEntriesOfNoList(t *testing.T) {
	t.Parallel()
	docker := func(string) string { return "public.ecr.aws" }
	_, err := target.Resolve([]target.Entry{{ConnectionID: "a", Region: "us-east-1"}}, docker)
	kind, _ := failure.Describe(err)
	const says = `connection "a": registry, or account and region, is missing, and host "public.ecr.aws" of ` +
		`connection "a" is not that of a private registry`
	if fmt.Sprint(err) != says || kind != "" || !failure.IsPermanent(err) {
		t.Errorf("%q: %v", kind, err)
	}
}

// FuzzParse: nothing panics, what is read and printed is read the same, and what passes passes the schema.
func FuzzParse(f *testing.F) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		f.Fatal(err)
	}
	for _, row := range lists {
		f.Add(list(row.text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := target.Parse(text)
		if err == nil {
			_, err = target.Resolve(entries, noHost)
		}
		// The schema wants the bare host.
		pasted := func(e target.Entry) bool { return e.Registry != ecr.Bare(e.Registry) }
		if err != nil || slices.ContainsFunc(entries, pasted) {
			return
		}
		var value any
		must(t, json.Unmarshal([]byte(text), &value))
		if schema.Validate(value) != nil {
			t.Errorf("the schema rejects %s: %v", text, schema.Validate(value))
		}
		printed, err := json.Marshal(entries)
		must(t, err)
		again, err := target.Parse(string(printed))
		if err != nil || !slices.Equal(again, entries) {
			t.Errorf("%+v is printed as %s, and that is %+v, %v", entries, printed, again, err)
		}
	})
}

func TestSchemaHasEachField(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(schemaFile)
	must(t, err)
	var schema struct {
		Items struct{ Properties map[string]any }
	}
	must(t, json.Unmarshal(text, &schema))
	for name := range schema.Items.Properties {
		if _, err := target.Parse(`[{"` + name + `":null}]`); !strings.Contains(fmt.Sprint(err), name+" is not ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	fields := reflect.TypeFor[target.Entry]().NumField() - 2 // Identity and at
	if fields += reflect.TypeFor[ecr.Identity]().NumField(); len(schema.Items.Properties) != fields {
		t.Errorf("the schema has %d fields, and the program %d", len(schema.Items.Properties), fields)
	}
}

// A fault of syntax is named with its place and what it probably is, and with no more of the text than one character.
func TestFaultsOfSyntax(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, want string }{
		{"[{'connection_id': 'a'}]", `line 1, column 3, at "'": strings stand between "`},
		{"[{“connection_id”: 1}]", `line 1, column 3, at "“": strings stand between "`},
		{"\ufeff[]", `line 1, column 1, at "\ufeff": remove this byte order mark (BOM)`},
		{"[\n  {\"é\": 1,}]", `line 2, column 11, at "}": a comma too many before it`},
		{"[{\"a\": 1},\r\n]", `line 2, column 1, at "]": a comma too many before it`},
		{"[{\"a\": 1},,]", `line 1, column 11, at ",": a comma too many before it`},
		{"[{\"a\": 1}\n{}]", `line 2, column 1, at "{": a comma is missing before it`},
		{"[{\"a\": 1 \"b\": 2}]", `line 1, column 10, at "\"": a comma is missing before it`},
		{"[{\"a\" 1}]", `line 1, column 7, at "1": after object key`},
		{"[{\"a\": \"S3CRET\n\"}]", `line 1, column 15, at "\n": a quote is missing before it`},
		{"[{\"a\": 1}, // S3CRET\n]", `line 1, column 12, at "/": looking for beginning of value`},
		{"# S3CRET\n[]", `line 1, column 1, at "#": looking for beginning of value`},
		{"[{\"a\": 1", `line 1, column 8, at "1": unexpected end of JSON input`},
		{"[{\"a\": \"S3CRET", `line 1, column 14, at "T": unexpected end of JSON input`},
		{"", `line 1, column 1, at "": unexpected end of JSON input`},
		{"[{\"a\": True}]", `line 1, column 8, at "T": looking for beginning of value`},
		{"[{a: 1}]", `line 1, column 3, at "a": looking for beginning of object key string`},
		{"[] x", `line 1, column 4, at "x": after top-level value`},
		{"[{\"a\": \"\\S3CRET\"}]", `line 1, column 10, at "S": in string escape code`},
		{"[{\"a\": tru}]", `line 1, column 11, at "}": in literal true (expecting 'e')`},
	} {
		_, err := target.Parse(row.text)
		kind, _ := failure.Describe(err)
		if fmt.Sprint(err) != "it is not JSON: "+row.want || kind != target.BadList || !failure.IsPermanent(err) {
			t.Errorf("%q: %v\nwant %s", row.text, err, row.want)
		}
	}
}
