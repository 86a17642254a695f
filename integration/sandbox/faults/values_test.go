package faults

import (
	"strings"
	"testing"
	"time"
)

// TestMalformedValuesShowNoSecret gives each input that may hold a login a value with a secret at a place where it does
// not belong, at level debug: no six characters of the secret are written.
func TestMalformedValuesShowNoSecret(t *testing.T) {
	t.Parallel()
	const first, second = "Kx7Qm2Zt9Wb4", "Vj8Rn3Yd6Hp1"
	for _, form := range []string{
		"user:12@HOST", "user:1/2@HOST", "user:1@2/2@HOST", "user:12", "HOST/12", "//user:12@HOST", "12://HOST",
		"http://user:12@HOST", "http://user:1/2@HOST", "http://user:1@2/1@HOST", "http://user:80/12@HOST",
		"http://user:1?2@HOST", "http://user:1@2?1@HOST", "http://user:1@2#1@HOST", "http://user:1%2@HOST",
		"http://user:1[2@HOST", "http://user:1 2@HOST", "http:/user:12@HOST", "http:user:12@HOST", "http://HOST:12",
		"http://HOST?12", "http://HOST#12", "tcp://user:12@HOST", "tcp://user:1/2@HOST", "tcp://HOST/?12", "tcp:12",
		"ssh://user:12@HOST", "unix://user:12@HOST", "HOST:1:12", `{"password":"1"2"}`, `{"host":"h","password":12}`,
		`{"uri":"http://user:1/2@HOST"}`, `{"uri":"http://user:12@HOST","host":"h"}`,
		`{"host":"http://user:12@HOST","login":"u","password":"p"}`, `{"port":"12"}`, `{"extra":{"a":"12"},"port":-1}`,
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			s := newSetting(t, 0)
			value := strings.NewReplacer("1", first, "2", second, "HOST", "peer.invalid:1").Replace(form)
			for _, name := range []string{"CONN_TYPE", "SCHEMA", "HOST", "PORT", "LOGIN", "PASSWORD"} {
				s.setenv("ECR_REFRESH_AIRFLOW_"+name, "")
			}
			s.setenv("DOCKER_HOST", value)
			s.setenv("HTTP_PROXY", value)
			s.setenv("AIRFLOW_CONN_DOCKER_DEFAULT", value)
			s.setenv("AIRFLOW_CONN_AIRFLOW_API", value)
			s.malformed("doctor", first, second)
			s.malformed("test-docker-connection --in two.json", first, second)
			s.malformed("update-docker-connection --in one.json", first, second)
			s.setenv("AIRFLOW_CONN_AIRFLOW_API", "")
			s.setenv("ECR_REFRESH_AIRFLOW_URL", value)
			s.malformed("status", first, second)
			s.setenv("ECR_REFRESH_AIRFLOW_URL", "")
			s.setenv("HTTP_PROXY", "")
			s.setenv("ECR_REFRESH_AIRFLOW_HOST", value)
			s.malformed("setup", first, second)
		})
	}
}

// malformed runs a command that cannot succeed, and looks for six characters of secrets in a row.
func (s *setting) malformed(args string, secrets ...string) {
	s.t.Helper()
	p := s.start(5*time.Second, args)
	if p.wantEnd(); p.exit == 0 {
		s.t.Errorf("%s: exit code 0:\n%s", args, &p.stderr)
	}
	for _, secret := range secrets {
		for at := range len(secret) - 5 {
			if text := p.stdout.String() + p.stderr.String(); strings.Contains(text, secret[at:at+6]) {
				s.t.Fatalf("%s shows a piece of the secret:\n%s", args, text)
			}
		}
	}
}
