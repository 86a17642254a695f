package transport_test

import (
	"net/http"
	"testing"

	"ecr-refresh/steps/transport"
)

func TestRedirectHost(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"https://user:S3CRET@elsewhere.example.com:8443/x?S3CRET": "elsewhere.example.com:8443",
		"": "",
	} {
		resp := &http.Response{Header: http.Header{"Location": {to}}}
		if got := transport.RedirectHost(resp); got != want {
			t.Errorf("%s: %q", to, got)
		}
	}
}
