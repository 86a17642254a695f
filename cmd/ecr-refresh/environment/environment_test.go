package environment

import "testing"

func TestIsEmpty(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": true, " \n": true, "None": true, " None ": true, "NOTSET": true,
		"none": false, "null": false, "False": false, "0": false, "Nonesuch": false,
	} {
		if IsEmpty(value) != want {
			t.Errorf("IsEmpty(%q) = %v", value, !want)
		}
	}
}

// The environment is one for the process: these tests do not run in parallel.

func TestValueAndSecret(t *testing.T) {
	for value, want := range map[string][2]string{
		"": {}, "None": {}, "NOTSET": {}, " p ": {"p", " p "}, "x": {"x", "x"},
	} {
		t.Setenv("TEST_X", value)
		if got := [2]string{Value("TEST_X"), Secret("TEST_X").Reveal()}; got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	if text, set := Parts("TEST_P"); text != "" || set {
		t.Errorf("%q, %v", text, set)
	}
	t.Setenv("TEST_P", "None")
	t.Setenv("TEST_P_2", "b")
	if text, set := Parts("TEST_P"); text != "" || !set {
		t.Errorf("empty first part: %q, %v", text, set)
	}
	t.Setenv("TEST_P", "a ")
	t.Setenv("TEST_P_3", " c")
	t.Setenv("TEST_P_5", "e")
	if text, set := Parts("TEST_P"); text != "a b c" || !set {
		t.Errorf("%q, %v", text, set)
	}
}
