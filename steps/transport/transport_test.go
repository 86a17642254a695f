package transport_test

import (
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"ecr-refresh/steps/transport"
)

// A proxy that is reached over TLS by its address is verified by that address, the server behind it by its name.
func TestProxyOverTLSByAddress(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil || r.Method != http.MethodConnect || r.Host != "example.com:443" {
			t.Errorf("%s %s: %v", r.Method, r.Host, err)
			return
		}
		in, _, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(out, in); out.Close() }()
		_, _ = io.Copy(in, out)
		in.Close()
	}))
	t.Cleanup(proxy.Close)
	at, _ := url.Parse(proxy.URL) // https://127.0.0.1:…
	for _, trusted := range []bool{true, false} {
		roots := x509.NewCertPool()
		if trusted {
			roots.AddCert(server.Certificate()) // of both: httptest has one, for example.com and 127.0.0.1
		}
		rt := transport.New(roots)
		rt.Proxy = http.ProxyURL(at)
		resp, err := (&http.Client{Transport: rt}).Get("https://example.com/")
		if (err == nil) != trusted {
			t.Errorf("trusted %v: %v", trusted, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		rt.CloseIdleConnections()
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Location", "https://elsewhere.example.com:8443/x?S3CRET")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: transport.New(nil), CheckRedirect: transport.NoRedirect}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect || transport.RedirectHost(resp) != "elsewhere.example.com:8443" {
		t.Errorf("%d to %q", resp.StatusCode, transport.RedirectHost(resp))
	}
	if host := transport.RedirectHost(&http.Response{}); host != "" {
		t.Errorf("%q", host)
	}
}
