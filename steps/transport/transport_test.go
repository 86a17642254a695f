package transport_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

// A proxy that does not connect is named, and its status is what it is: not that of the host behind it.
func TestProxyAnswer(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]failure.Kind{403: failure.Proxy, 407: failure.ProxyAuth, 502: failure.Proxy} {
		refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
		proxy := httptest.NewServer(http.HandlerFunc(refuse))
		t.Cleanup(proxy.Close)
		at, _ := url.Parse(proxy.URL)
		rt := transport.New(nil)
		rt.Proxy = http.ProxyURL(at)
		client := http.Client{Transport: rt}
		resp, err := client.Get("https://h.example.com")
		if err == nil {
			resp.Body.Close()
		}
		err = failure.Network("h", err)
		kind, facts := failure.Describe(err)
		says := fmt.Sprintf("reach h: the proxy %s answered %d %s", at.Host, status, http.StatusText(status))
		about := failure.Facts{Object: at.Host, Want: "h"}
		if err.Error() != says || kind != want || facts != about || failure.IsPermanent(err) != (status < 500) {
			t.Errorf("%q of kind %q, %+v; want %q", err, kind, facts, says)
		}
	}
}
