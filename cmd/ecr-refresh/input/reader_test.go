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
	for _, row := range []struct{ flag, first, second, value, source string }{
		{"a", "b", "c", "a", "--thing"},
		{"", "b", "c", "b", "TEST_THING_1"},
		{"None", "NOTSET", " c ", "c", "TEST_THING_2"},
		{"", " ", "None", "fallback", ""},
	} {
		t.Setenv("TEST_THING_1", row.first)
		t.Setenv("TEST_THING_2", row.second)
		r := reader(map[string]string{"thing": row.flag})
		if value, source := r.Given(s); value != row.value || source != row.source {
			t.Errorf("%+v: given %q by %q", row, value, source)
		}
	}
}

// A thing has one name everywhere.
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

func TestValues(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "0": 0, "-1s": 0, "soon": 0, "1": 0} {
		r := reader(map[string]string{"timeout": text})
		if got := r.Duration(r.Timeout); r.Faulty() != (want == 0) || want != 0 && got != want {
			t.Errorf("%q: %s, %v", text, got, r.Err())
		}
	}
	for text, want := range map[string]bool{
		"": false, "None": false, "False": false, "True": true, " true ": true, "1": true, "perhaps": false,
	} {
		t.Setenv("TEST_YES", text)
		if r := reader(nil); r.yes("dry-run", "TEST_YES") != want || r.Faulty() != (text == "perhaps") {
			t.Errorf("%q: not %v, or %v", text, want, r.Err())
		}
	}
}

func TestInputsAreLimited(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "targets.json")
	for size, good := range map[int]bool{maxInput: true, maxInput + 1: false} {
		text := strings.Repeat(" ", size)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := reader(map[string]string{"in": "-"})
		r.Stdin = strings.NewReader(text)
		read := Result(r, func(text string) (string, error) { return text, nil })
		file, fileErr := readFile(path)
		if good && (read != text || string(file) != text || r.Faulty() || fileErr != nil) {
			t.Errorf("%d and %d of %d bytes: %v, %v", len(read), len(file), size, r.Err(), fileErr)
		}
		const why = "it is longer than 8388608 bytes"
		if !good && (fmt.Sprint(fileErr) != why || fmt.Sprint(r.Err()) != "read stdin: "+why) {
			t.Errorf("%v, %v", fileErr, r.Err())
		}
	}
}
