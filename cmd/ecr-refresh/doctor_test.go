package main

import (
	"testing"

	"ecr-refresh/steps/failure"
)

// An address may hold the digits of a status.
func TestDoctorTellsARightFromANetwork(t *testing.T) {
	t.Parallel()
	for text, state := range map[string]string{
		"airflow answered 403: Forbidden":                             "skip",
		"no answer in time from airflow at https://airflow.test:8403": "fail",
	} {
		var f findings
		f.readable("pool", failure.Transient("", "%s", text), "")
		if f[0].State != state {
			t.Errorf("%s: %s", text, f[0].State)
		}
	}
}
