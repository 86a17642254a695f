package target_test

import (
	"ecr-refresh/steps/target"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func noHost(string) string { return "" }

// parse is what the commands do with a targets list.
func parse(text string, hostOf func(string) string) ([]target.Target, error) {
	declared, err := target.Parse(text)
	if err != nil {
		return nil, err
	}
	return target.Resolve(declared, hostOf)
}

const oneRegistry = `"registry":"123456789012.dkr.ecr.us-east-1.amazonaws.com"`

// Lists that schema and program must judge alike.
var lists = []struct {
	name, text string
	ok         bool
	want       string // in the error
}{
	{"registry", `[{"connection_id":"a",` + oneRegistry + `}]`, true, ""},
	{"account and region", `[{"connection_id":"a","account":"123456789012","region":"eu-west-1"}]`, true, ""},
	{"all fields", `[{"connection_id":"a","account":"123456789012","region":"eu-west-1","profile":"p","role_arn":"arn:aws:iam::123456789012:role/x/y",
		"external_id":"id:1","role_session_name":"me","fips":true,"dual_stack":true}]`, true, ""},
	{"public", `[{"connection_id":"a","registry":"public.ecr.aws"}]`, true, ""},
	{"endpoint", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"https://vpce-1.api.ecr.us-east-1.vpce.amazonaws.com"}]`, true, ""},
	{"new partition", `[{"connection_id":"a","account":"123456789012","region":"xx-new-1","partition_suffix":"aws.example"}]`, true, ""},
	{"new partition's registry", `[{"connection_id":"a","registry":"123456789012.dkr.ecr.xx-new-1.aws.example","partition_suffix":"aws.example"}]`, true, ""},
	{"no list", `{"connection_id":"a"}`, false, "not a JSON list"},
	{"empty", `[]`, false, "it is empty"},
	{"no JSON", `x`, false, "not a JSON list"},
	{"unknown field", `[{"connection_id":"a",` + oneRegistry + `,"acount":"1"}]`, false, `targets[0]."acount" is not a field of a target`},
	{"wrong kind", `[{"connection_id":"a",` + oneRegistry + `,"fips":"yes"}]`, false, "targets[0].fips is not a boolean"},
	{"null", `[{"connection_id":"a","registry":null}]`, false, "targets[0].registry is not a string"},
	{"no id", `[{` + oneRegistry + `}]`, false, "targets[0].connection_id"},
	{"bad id", `[{"connection_id":"a/b",` + oneRegistry + `}]`, false, "targets[0].connection_id"},
	{"bad account", `[{"connection_id":"a","account":"12345","region":"us-east-1"}]`, false, "targets[0].account"},
	{"bad region", `[{"connection_id":"a","account":"123456789012","region":"us_east"}]`, false, "targets[0].region"},
	{"not ECR's", `[{"connection_id":"a","registry":"docker.io"}]`, false, "targets[0].registry"},
	{"bad role", `[{"connection_id":"a",` + oneRegistry + `,"role_arn":"x"}]`, false, "targets[0].role_arn"},
	{"external id alone", `[{"connection_id":"a",` + oneRegistry + `,"external_id":"id"}]`, false, "external_id is of no use without role_arn"},
	{"session name alone", `[{"connection_id":"a",` + oneRegistry + `,"role_session_name":"me"}]`, false, "role_session_name is of no use"},
	{"bad endpoint", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"http://ecr.example.com"}]`, false, "targets[0].endpoint"},
	{"endpoint with a login", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"https://u:p@ecr.example.com"}]`, false, "targets[0].endpoint"},
	{"bad suffix", `[{"connection_id":"a","account":"123456789012","region":"us-east-1","partition_suffix":"/"}]`, false, "targets[0].partition_suffix"},
	{"endpoint with a port", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"https://[2600:1f14::1]:8443/"}]`, true, ""},
	{"endpoint of a stand-in", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"http://127.0.0.1:5000"}]`, true, ""},
	{"endpoint like a stand-in's", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"http://127.0.0.1.evil.example"}]`, false, "targets[0].endpoint"},
	{"endpoint with no host", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"https://:443"}]`, false, "targets[0].endpoint"},
	{"endpoint with a path", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"https://ecr.example.com/x"}]`, false, "targets[0].endpoint"},
	{"endpoint with a query", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"https://ecr.example.com?"}]`, false, "targets[0].endpoint"},
	{"endpoint with a blank", `[{"connection_id":"a",` + oneRegistry + `,"endpoint":"https://ecr example.com"}]`, false, "targets[0].endpoint"},
	{"empty field", `[{"connection_id":"a",` + oneRegistry + `,"profile":""}]`, false, "targets[0].profile is empty"},
	{"entry that is null", `[null]`, false, "targets"},
	{"entry that is a list", `[[]]`, false, "not a JSON list of objects"},
	{"words behind the list", `[{"connection_id":"a",` + oneRegistry + `}] x`, false, "not a JSON list"},
	{"long id", `[{"connection_id":"` + strings.Repeat("a", 201) + `",` + oneRegistry + `}]`, false, "targets[0].connection_id"},
	{"id in other letters", `[{"connection_id":"ä",` + oneRegistry + `}]`, false, "targets[0].connection_id"},
	{"id with a line end", `[{"connection_id":"a\n",` + oneRegistry + `}]`, false, "targets[0].connection_id"},
	{"field in capitals", `[{"connection_id":"a",` + oneRegistry + `,"Region":"us-east-1"}]`, false, `targets[0]."Region" is not a field`},
	{"registry in capitals", `[{"connection_id":"a","registry":"123456789012.DKR.ecr.us-east-1.amazonaws.com"}]`, false, "is not in lower case"},
	{"registry with a scheme", `[{"connection_id":"a","registry":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com"}]`, false, "targets[0].registry"},
	{"registry of no region", `[{"connection_id":"a","registry":"123456789012.dkr.ecr.useast1.amazonaws.com"}]`, false, "targets[0].registry"},
	{"account as a number", `[{"connection_id":"a","account":123456789012,"region":"us-east-1"}]`, false, "targets[0].account is not a string"},
	{"short external id", `[{"connection_id":"a",` + oneRegistry + `,"role_arn":"arn:aws:iam::123456789012:role/x","external_id":"i"}]`, false, "targets[0].external_id"},
	{"long external id", `[{"connection_id":"a",` + oneRegistry + `,"role_arn":"arn:aws:iam::123456789012:role/x","external_id":"` + strings.Repeat("i", 1225) + `"}]`, false, "targets[0].external_id"},
	{"longest external id", `[{"connection_id":"a",` + oneRegistry + `,"role_arn":"arn:aws:iam::123456789012:role/x","external_id":"` + strings.Repeat("i", 1224) + `"}]`, true, ""},
	{"long session name", `[{"connection_id":"a",` + oneRegistry + `,"role_arn":"arn:aws:iam::123456789012:role/x","role_session_name":"` + strings.Repeat("n", 65) + `"}]`, false, "targets[0].role_session_name"},
	{"role of another kind", `[{"connection_id":"a",` + oneRegistry + `,"role_arn":"arn:aws:iam::123456789012:user/x"}]`, false, "targets[0].role_arn"},
	{"role in China", `[{"connection_id":"a",` + oneRegistry + `,"role_arn":"arn:aws-cn:iam::123456789012:role/x"}]`, true, ""},
	{"profile of two lines", `[{"connection_id":"a",` + oneRegistry + `,"profile":"a\nb"}]`, false, "targets[0].profile"},
	{"dual-stack in a new partition", `[{"connection_id":"a","account":"123456789012","region":"xx-new-1","partition_suffix":"aws.example","dual_stack":true}]`, false, "targets[0].endpoint is missing"},
	{"dual-stack registry in a new partition", `[{"connection_id":"a","registry":"123456789012.dkr-ecr.xx-new-1.aws.example","partition_suffix":"aws.example"}]`, false, "targets[0].endpoint is missing"},
	{"dual-stack in a new partition, with its endpoint", `[{"connection_id":"a","account":"123456789012","region":"xx-new-1","partition_suffix":"aws.example","dual_stack":true,
		"endpoint":"https://ecr.xx-new-1.api.example"}]`, true, ""},
	{"public with its region", `[{"connection_id":"a","registry":"ecr-public.aws.com","region":"us-east-1","dual_stack":true}]`, true, ""},
	{"public elsewhere", `[{"connection_id":"a","registry":"public.ecr.aws","region":"us-west-2"}]`, false, "targets[0].region"},
	{"public with FIPS", `[{"connection_id":"a","registry":"public.ecr.aws","fips":true}]`, false, "targets[0].fips"},
	{"public without FIPS", `[{"connection_id":"a","registry":"public.ecr.aws","fips":false}]`, true, ""},
	{"public in a new partition", `[{"connection_id":"a","registry":"public.ecr.aws","partition_suffix":"ecr.aws"}]`, false, "targets[0].registry"},
	{"public with an account", `[{"connection_id":"a","registry":"public.ecr.aws","account":"123456789012"}]`, false, "targets[0].account"},
}

func TestTargetsAndTheirSchemaAgree(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile("../ecr_targets.schema.json")
	must(t, err)
	for _, row := range lists {
		_, err := parse(row.text, noHost)
		if (err == nil) != row.ok {
			t.Errorf("%s: %v", row.name, err)
		}
		if err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q in it", row.name, err, row.want)
		}
		var value any
		valid := json.Unmarshal([]byte(row.text), &value) == nil && schema.Validate(value) == nil
		if valid != row.ok {
			t.Errorf("%s: the schema says %v", row.name, valid)
		}
	}
}

// What a schema cannot say: what stands in two entries, in two fields, or in the connection.
func TestTargetsBeyondTheSchema(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[{"connection_id":"a",` + oneRegistry + `},{"connection_id":"b",` + oneRegistry + `},{"connection_id":"a",` + oneRegistry + `}]`: `targets[2].connection_id: "a" stands in targets[0] too`,
		`[{"connection_id":"a",` + oneRegistry + `,"account":"210987654321"}]`:                                                            "targets[0].account: \"210987654321\" is not the account of registry",
		`[{"connection_id":"a",` + oneRegistry + `,"region":"eu-west-1"}]`:                                                                "targets[0].region: \"eu-west-1\" is not the region of registry",
		`[{"connection_id":"a","region":"us-east-1"}]`:                                                                                    "targets[0].account is missing, and the connection's host is not known",
		`[{"connection_id":"a"}]`: "targets[0].registry is missing",
		`[{"connection_id":"a","registry":"123456789012.dkr.ecr.cn-north-1.amazonaws.com"}]`:                          "is of partition aws-cn",
		`[{"connection_id":"a","account":"123456789012","region":"us-iso-east-1","dual_stack":true}]`:                 "has no dual-stack registries",
		`[{"connection_id":"a","registry":"123456789012.dkr.ecr.xx-new-1.a.example","partition_suffix":"b.example"}]`: "does not end in partition_suffix",
	} {
		if _, err := parse(text, noHost); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestTargetsNameAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := parse(`[{"connection_id":"a b","account":"1","region":"x"},{"connection_id":"ok",`+oneRegistry+`},{"connection_id":"c","role_arn":"y"}]`, noHost)
	for _, want := range []string{"targets[0].connection_id", "targets[0].account", "targets[0].region", "targets[2].role_arn", "targets[2].registry is missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named: %v", want, err)
		}
	}
}

// A field that cannot be read hides no fault of another, and is told once.
func TestTargetsOfAListThatIsReadInPart(t *testing.T) {
	t.Parallel()
	declared, err := target.Parse(`[{"connection_id":7,"registry":null,"account":"1"},{"connection_id":"b","region":"x"}]`)
	wantError(t, err, "targets[0].connection_id is not a string; targets[0].registry is not a string")
	_, err = target.Resolve(declared, noHost)
	if want := `targets[0].account: "1" is not 12 digits; targets[1].region: "x" is not`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestTargetsTakeFromTheConnectionsHost(t *testing.T) {
	t.Parallel()
	host := "210987654321.dkr.ecr-fips.eu-west-1.amazonaws.com"
	hostOf := func(string) string { return host }
	for text, want := range map[string]string{
		`[{"connection_id":"a"}]`:                          host,
		`[{"connection_id":"a","region":"eu-central-1"}]`:  "210987654321.dkr.ecr-fips.eu-central-1.amazonaws.com",
		`[{"connection_id":"a","account":"123456789012"}]`: "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com",
	} {
		targets, err := parse(text, hostOf)
		must(t, err)
		if targets[0].Registry.Name != want || !targets[0].Source.FIPS {
			t.Errorf("%s: %+v", text, targets[0])
		}
	}
}

// FuzzParse: nothing panics, what is read and printed is read the same, and what passes passes the schema.
func FuzzParse(f *testing.F) {
	schema, err := jsonschema.NewCompiler().Compile("../ecr_targets.schema.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, row := range lists {
		f.Add(row.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		declared, err := target.Parse(text)
		if err != nil {
			return
		}
		var value any
		must(t, json.Unmarshal([]byte(text), &value))
		if _, err := target.Resolve(declared, noHost); err == nil && schema.Validate(value) != nil {
			t.Errorf("the schema refuses %s: %v", text, schema.Validate(value))
		}
		printed, err := json.Marshal(declared)
		must(t, err)
		again, err := target.Parse(string(printed))
		if err != nil || !slices.Equal(again, declared) {
			t.Errorf("%+v is printed as %s, and that is %+v, %v", declared, printed, again, err)
		}
	})
}

func TestSchemaIsPublishedAsItIs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../ecr_targets.schema.json")
	must(t, err)
	var schema struct {
		Items struct{ Properties map[string]map[string]any }
	}
	must(t, json.Unmarshal(text, &schema))
	declared := reflect.VisibleFields(reflect.TypeFor[target.Entry]())
	declared = slices.DeleteFunc(declared, func(f reflect.StructField) bool { return !f.IsExported() })
	for _, field := range declared {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if described, _ := schema.Items.Properties[name]["description"].(string); described == "" {
			t.Errorf("the schema does not describe %s", name)
		}
	}
	if len(declared) != len(schema.Items.Properties) {
		t.Error("the schema has other fields than the program")
	}
}
