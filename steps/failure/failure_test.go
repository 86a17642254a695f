package failure_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps/failure"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	permanent := failure.Permanent("mend it", "read %q: %w", "a", io.ErrUnexpectedEOF)
	transient := failure.Transient("wait", "ask: %w", io.EOF)
	for _, row := range []struct {
		name string
		err  error
		text string
		hint string
		code int
		is   error
	}{
		{"nil", nil, "", "", 0, nil},
		{"unknown", io.EOF, "EOF", "", 1, io.EOF},
		{"permanent", permanent, `read "a": unexpected EOF`, "mend it", 2, io.ErrUnexpectedEOF},
		{"transient", transient, "ask: EOF", "wait", 1, io.EOF},
		{"wrapped", fmt.Errorf("step: %w", permanent), `step: read "a": unexpected EOF`, "mend it", 2, io.ErrUnexpectedEOF},
		{"the outer one decides", failure.Transient("outer", "try: %w", permanent), `try: read "a": unexpected EOF`, "outer", 1, io.ErrUnexpectedEOF},
		{"no outer hint", failure.Permanent("", "try: %w", transient), "try: ask: EOF", "wait", 2, io.EOF},
		{"join of none", failure.Join(nil), "", "", 0, nil},
		{"join of one", failure.Join([]error{transient}), "ask: EOF", "wait", 1, io.EOF},
		{"join of permanent ones", failure.Join([]error{permanent, failure.Permanent("", "b")}), `read "a": unexpected EOF; b`, "mend it", 2, io.ErrUnexpectedEOF},
		{"join of both kinds", failure.Join([]error{permanent, transient}), `read "a": unexpected EOF; ask: EOF`, "mend it", 1, io.EOF},
		{"join of both kinds, turned", failure.Join([]error{transient, permanent}), `ask: EOF; read "a": unexpected EOF`, "wait", 1, io.EOF},
		{"join takes the first hint", failure.Join([]error{io.EOF, transient}), "EOF; ask: EOF", "wait", 1, io.EOF},
		{"wrapped join", fmt.Errorf("all: %w", failure.Join([]error{permanent, permanent})), `all: read "a": unexpected EOF; read "a": unexpected EOF`, "mend it", 2, io.ErrUnexpectedEOF},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.err != nil && row.err.Error() != row.text {
				t.Errorf("text %q", row.err)
			}
			if got := failure.Hint(row.err); got != row.hint {
				t.Errorf("hint %q", got)
			}
			if got := failure.ExitCode(row.err); got != row.code || failure.IsPermanent(row.err) != (row.code == failure.ExitPermanent) {
				t.Errorf("code %d", got)
			}
			if !errors.Is(row.err, row.is) {
				t.Errorf("is not %v", row.is)
			}
		})
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	at := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://user:S3CRET@h/?token=S3CRET", Err: err}
	}
	for _, row := range []struct {
		name      string
		err       error
		text      string
		permanent bool
	}{
		{"unknown authority", at(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), "signed by unknown authority", true},
		{"refused by the platform", at(&tls.CertificateVerificationError{Err: errors.New("not standards compliant")}), "not standards compliant", true},
		{"bare unknown authority", x509.UnknownAuthorityError{}, "signed by unknown authority", true},
		{"expired", x509.CertificateInvalidError{Reason: x509.Expired}, "expired", true},
		{"another name", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, "", true},
		{"deadline", at(context.DeadlineExceeded), "no answer in time", false},
		{"timeout", at(&net.DNSError{IsTimeout: true}), "no answer in time", false},
		{"no such host", at(&net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}), "no such host", false},
		{"refused", at(errors.New("connection\nrefused")), "connection refused", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := failure.Network("peer", row.err)
			if !strings.HasPrefix(got.Error(), "reach peer: ") || !strings.Contains(got.Error(), row.text) || failure.IsPermanent(got) != row.permanent {
				t.Errorf("%v, permanent %v", got, failure.IsPermanent(got))
			}
			if failure.Hint(got) == "" || strings.ContainsAny(got.Error(), "\n") || strings.Contains(got.Error(), "S3CRET") {
				t.Errorf("%v, hint %q", got, failure.Hint(got))
			}
		})
	}
	if got := failure.Network("peer", at(context.Canceled)); !errors.Is(got, context.Canceled) || failure.IsPermanent(got) {
		t.Errorf("%v", got)
	}
}

// The errors of a real client, since the types above are only what it is known to give.
func TestNetworkOfARealClient(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stuck) })
	_, err := (&http.Client{Transport: &http.Transport{}}).Get(server.URL)
	if got := failure.Network("peer", err); !failure.IsPermanent(got) || !failure.IsCertificate(err) {
		t.Errorf("untrusted certificate: %v", got)
	}
	client := server.Client()
	client.Timeout = 50 * time.Millisecond
	_, err = client.Get(server.URL)
	if got := failure.Network("peer", err); failure.IsPermanent(got) || got.Error() != "reach peer: no answer in time" {
		t.Errorf("timeout: %v", got)
	}
}

func TestSaid(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"":                           "",
		"  plain \t words ":          "plain words",
		"two\r\nlines":               "two lines",
		"\x1b[31mred\x1b[0m":         "red",
		"\x1b\x1b[31m[31mred":        "[31mred",
		"\x1b]0;title\x07x":          "x",
		"not\xffUTF-8\xfe":           "not?UTF-8?",
		"a\u0085b\u2028c\u2029d\x00": "a b c d",
		"right\u202eleft\u200b":      "rightleft",
		"a ::group::x ::endgroup::":  "a group x endgroup",
		"::gro::group::up::x":        "::grogroup up::x",
		"::gr\x00oup::[fe80::1]:80":  "::gr oup::[fe80::1]:80",
		strings.Repeat("ü", 200):     strings.Repeat("ü", 200),
		strings.Repeat("ü", 201):     strings.Repeat("ü", 200) + "…",
	} {
		if got := failure.Said(words); got != want {
			t.Errorf("Said(%q) = %q, want %q", words, got, want)
		}
	}
}
