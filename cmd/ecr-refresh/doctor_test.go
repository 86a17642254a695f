package main

import (
	"errors"
	"testing"

	"ecr-refresh/airflowclient"
)

func TestDoctorTellsARightFromANetwork(t *testing.T) {
	t.Parallel()
	for kind, state := range map[airflowclient.Kind]string{airflowclient.Forbidden: "skip", airflowclient.Timeout: "fail"} {
		var f findings
		f.readable("pool", &airflowclient.Error{Kind: kind, Err: errors.New("at https://airflow.test:8403")}, "")
		if f[0].State != state {
			t.Errorf("%s: %s", kind, f[0].State)
		}
	}
}
