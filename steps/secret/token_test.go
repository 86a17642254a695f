package secret_test

import (
	"testing"

	"ecr-refresh/steps/secret"
)

func TestHost(t *testing.T) {
	t.Parallel()
	for registry, want := range map[string]string{
		"https://123456789012.dkr.ecr.us-east-1.amazonaws.com": "123456789012.dkr.ecr.us-east-1.amazonaws.com",
		"R.Example.com":                "r.example.com",
		"http://r.example.com:5000/v2": "r.example.com",
		"r.example.com:443":            "r.example.com",
		"[2001:db8::1]:5000":           "2001:db8::1",
		"":                             "",
		"https://bad host":             "",
		"https://%zz":                  "",
	} {
		if got := registry.Host(registry); got != want {
			t.Errorf("Host(%q) = %q, want %q", registry, got, want)
		}
		if got := (secret.Token{RegistryURL: registry}).Host(); got != want {
			t.Errorf("Token.Host of %q = %q, want %q", registry, got, want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	// printf token | sha256sum | cut -c -12
	if got := (secret.Token{Password: secret.New("token")}).Fingerprint(); got != "3c469e9d6c58" {
		t.Errorf("got %q", got)
	}
}
