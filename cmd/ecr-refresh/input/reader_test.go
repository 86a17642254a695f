package input

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps/failure"
)

// reader returns a Reader of flags, with a log that nobody reads.
func reader(flags map[string]string) *Reader {
	set := flag.NewFlagSet("", flag.PanicOnError)
	for name, value := range flags {
		set.String(name, "", "")
		if err := set.Set(name, value); err != nil {
			panic(err)
		}
	}
	return &Reader{Context: cli.NewContext(nil, set, nil), Settings: NewSettings(), Log: slog.New(slog.DiscardHandler)}
}

// The environment is one for the process: tests that set it do not run in parallel.

func TestGivenReturnsTheFirstOfFlagAndVariables(t *testing.T) {
	s := Setting{Flag: "thing", Env: []string{"TEST_THING_1", "TEST_THING_2"}, Fallback: "fallback"}
	for _, row := range []struct{ flag, first, second, value, source, optional string }{
		{"a", "b", "c", "a", "--thing", "a"},
		{"", "b", "c", "b", "TEST_THING_1", "b"},
		{"None", "NOTSET", " c ", "c", "TEST_THING_2", "c"},
		{"", " ", "None", "", "", "fallback"},
	} {
		t.Setenv("TEST_THING_1", row.first)
		t.Setenv("TEST_THING_2", row.second)
		r := reader(map[string]string{"thing": row.flag})
		if value, source := Given(r.Context, s); value != row.value || source != row.source {
			t.Errorf("%+v: given %q by %q", row, value, source)
		}
		if got := r.Optional(s); got != row.optional {
			t.Errorf("%+v: optional %q", row, got)
		}
	}
}

// A thing has one name everywhere, and every name of the design's table is one of them.
func TestSettingsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	all := reflect.ValueOf(NewSettings())
	for i := range all.NumField() {
		s := all.Field(i).Interface().(Setting)
		for _, name := range append([]string{s.Flag}, s.Env...) {
			if name == "" || seen[name] {
				t.Errorf("%s: name %q is empty or taken", all.Type().Field(i).Name, name)
			}
			seen[name] = true
		}
	}
	for _, name := range []string{
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT", "AIRFLOW_VAR_ECR_AWS_REGION_NAME", "ECR_REFRESH_CONNECTION_IDS",
		"ECR_REFRESH_DOCUMENT", "ECR_REFRESH_RECIPIENT", "ECR_REFRESH_IDENTITY_FILE", "ECR_REFRESH_LOG_OUTPUT",
		"ECR_REFRESH_CA_FILE",
	} {
		if !seen[name] {
			t.Errorf("no setting reads %s", name)
		}
	}
}

// Faults are permanent, whatever their cause. All but the last are logged; Collect takes its own away.
func TestFaults(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := reader(nil)
	r.Log = slog.New(slog.NewTextHandler(&log, nil))
	if r.Fault(nil); r.Err() != nil || r.Faulty() {
		t.Error("faulty at once")
	}
	r.Fault(errors.New("one"))
	found := r.Collect(func() { r.Fault(errors.New("two")); r.Fault(errors.New("three")) })
	if found == nil || found.Error() != "two; three" {
		t.Errorf("collected %v", found)
	}
	if err := r.Err(); err == nil || err.Error() != "one" || !failure.IsPermanent(err) || log.Len() > 0 {
		t.Errorf("%v, log %q", err, &log)
	}
	r.Fault(failure.Transient(OldDAG, "four"))
	err := r.Err()
	if kind, _ := failure.Describe(err); kind != OldDAG || err.Error() != "four" || !failure.IsPermanent(err) {
		t.Errorf("%v of kind %q", err, kind)
	}
	if strings.Count(log.String(), "msg=one") != 1 || strings.Contains(log.String(), "four") {
		t.Errorf("log %q", &log)
	}
}

func TestPositive(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "0": 0, "-1s": 0, "soon": 0, "1": 0} {
		r := reader(nil)
		if got := r.Positive("--timeout", text, "60s"); r.Faulty() != (want == 0) || want != 0 && got != want {
			t.Errorf("%q: %s, %v", text, got, r.Err())
		}
	}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"": "info", "WARN": "warn", "info": "info", "loud": ""} {
		r := reader(map[string]string{"log-level": value})
		got, err := r.Choice(r.LogLevel, "info", "warn")
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
}

func TestYes(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "None": false, "False": false, "True": true, " true ": true, "1": true,
	} {
		t.Setenv("TEST_YES", value)
		if r := reader(nil); r.yes("dry-run", "TEST_YES") != want || r.Faulty() {
			t.Errorf("%q: not %v, or %v", value, want, r.Err())
		}
	}
	t.Setenv("TEST_YES", "perhaps")
	if r := reader(nil); r.yes("dry-run", "TEST_YES") || !r.Faulty() {
		t.Error("perhaps is accepted")
	}
}

// A task names Variables, a shell flags and variables; both say what is wrong with a value.
func TestNeed(t *testing.T) {
	for _, row := range []struct{ operator, env, text, kind, object string }{
		{"", "", "AWS region is not set", string(Missing), "--region (AIRFLOW_VAR_ECR_AWS_REGION_NAME)"},
		{"", "us-east1", `AIRFLOW_VAR_ECR_AWS_REGION_NAME is "us-east1", not an AWS region (such as us-east-1)`,
			"", ""},
		{"bash", "", `AWS region is not set: Variable "ecr_aws_region_name" is missing`,
			string(BadVariable), "ecr_aws_region_name"},
		{"bash", "us-east1", `Variable "ecr_aws_region_name" is "us-east1", not an AWS region (such as us-east-1)`,
			string(BadVariable), "ecr_aws_region_name"},
		{"bash", "us-east-1", "", "", ""},
	} {
		t.Setenv("ECR_REFRESH_OPERATOR", row.operator)
		t.Setenv("AIRFLOW_VAR_ECR_AWS_REGION_NAME", row.env)
		r := reader(nil)
		got := r.Need(r.Region)
		if row.text == "" && (r.Faulty() || got != row.env) {
			t.Errorf("%+v: %q, %v", row, got, r.Err())
		}
		if row.text == "" {
			continue
		}
		err := r.Err()
		kind, facts := failure.Describe(err)
		if row.kind == "" {
			facts.Object = ""
		}
		if err == nil || err.Error() != row.text || string(kind) != row.kind || facts.Object != row.object {
			t.Errorf("%+v: %v, %q %+v", row, err, kind, facts)
		}
	}
}

func TestResultIsLimited(t *testing.T) {
	t.Parallel()
	for size, good := range map[int]bool{maxInput: true, maxInput + 1: false} {
		r := reader(map[string]string{"in": "-"})
		r.Stdin = strings.NewReader(strings.Repeat("x", size))
		text := Result(r, func(text string) (string, error) { return text, nil })
		if r.Faulty() == good || good && len(text) != size {
			t.Errorf("%d bytes: %d, %v", size, len(text), r.Err())
		}
	}
}

func TestFilesAreLimited(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "targets.json")
	if err := os.WriteFile(path, bytes.Repeat([]byte(" "), maxInput+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readFile(path); err == nil || err.Error() != fmt.Sprintf("it is longer than %d bytes", maxInput) {
		t.Error(err)
	}
}
