package main

import (
	"flag"
	"reflect"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestUnset(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": true, " \n": true, "None": true, " None ": true, "NOTSET": true,
		"none": false, "null": false, "False": false, "0": false, "Nonesuch": false,
	} {
		if unset(value) != want {
			t.Errorf("unset(%q) = %v", value, !want)
		}
	}
}

func TestGivenTakesTheFirstOfFlagAndNames(t *testing.T) {
	s := setting{flag: "thing", env: []string{"TEST_THING_1", "TEST_THING_2"}, fallback: "fallback"}
	for _, row := range []struct{ flag, first, second, value, source, optional string }{
		{"a", "b", "c", "a", "--thing", "a"},
		{"", "b", "c", "b", "TEST_THING_1", "b"},
		{"None", "NOTSET", " c ", "c", "TEST_THING_2", "c"},
		{"", " ", "None", "", "", "fallback"},
	} {
		t.Setenv("TEST_THING_1", row.first)
		t.Setenv("TEST_THING_2", row.second)
		flags := flag.NewFlagSet("", flag.PanicOnError)
		flags.String("thing", row.flag, "")
		c := cli.NewContext(nil, flags, nil)
		if value, source := given(c, s); value != row.value || source != row.source {
			t.Errorf("%+v: given %q by %q", row, value, source)
		}
		if got := (&call{Context: c}).optional(s); got != row.optional {
			t.Errorf("%+v: optional %q", row, got)
		}
	}
}

// An empty first name must not hide the second, as it would with the library's own EnvVars.
func TestSecretSkipsWhatJinjaRendersForNothing(t *testing.T) {
	for _, nothing := range []string{"", "None", "NOTSET"} {
		t.Setenv("TEST_SECRET_1", nothing)
		t.Setenv("TEST_SECRET_2", " p ")
		if got := secretFromEnv("TEST_SECRET_1", "TEST_SECRET_2"); got.Reveal() != " p " {
			t.Errorf("%q hides the second name: %q", nothing, got.Reveal())
		}
		if got := secretFromEnv("TEST_SECRET_1"); !got.Empty() {
			t.Errorf("%q is a secret: %q", nothing, got.Reveal())
		}
	}
}

// A thing has one name everywhere, and every name of the design's table is one of them.
func TestSettingsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	in := reflect.ValueOf(settings())
	for i := range in.NumField() {
		s := in.Field(i)
		names := []string{s.FieldByName("flag").String()}
		for j := range s.FieldByName("env").Len() {
			names = append(names, s.FieldByName("env").Index(j).String())
		}
		for _, name := range names {
			if name == "" || seen[name] {
				t.Errorf("%s: name %q is empty or taken", in.Type().Field(i).Name, name)
			}
			seen[name] = true
		}
	}
	for _, name := range []string{
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT", "AIRFLOW_VAR_ECR_AWS_REGION_NAME", "ECR_REFRESH_CONNECTION_IDS", "ECR_REFRESH_DOCUMENT",
		"ECR_REFRESH_RECIPIENT", "ECR_REFRESH_IDENTITY_FILE", "ECR_REFRESH_LOG_OUTPUT", "ECR_REFRESH_CA_FILE",
	} {
		if !seen[name] {
			t.Errorf("no setting reads %s", name)
		}
	}
}
