package failure_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"ecr-refresh/steps/failure"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	const mend, wait failure.Kind = "mend", "wait"
	permanent := failure.Permanent(mend, "read %q: %w", "a", io.ErrUnexpectedEOF)
	transient := failure.Transient(wait, "ask: %w", io.EOF)
	join := func(errs ...error) error { return failure.Join(errs) }
	for _, row := range []struct {
		name string
		err  error
		text string
		kind failure.Kind
		code int
		is   error
	}{
		{"nil", nil, "", "", 0, nil},
		{"unknown", io.EOF, "EOF", "", 1, io.EOF},
		{"permanent", permanent, `read "a": unexpected EOF`, mend, 2, io.ErrUnexpectedEOF},
		{"transient", transient, "ask: EOF", wait, 1, io.EOF},
		{"wrapped", fmt.Errorf("step: %w", permanent), `step: read "a": unexpected EOF`, mend, 2, io.ErrUnexpectedEOF},
		{"the outer one decides", failure.Transient("outer", "try: %w", permanent), `try: read "a": unexpected EOF`,
			"outer", 1, io.ErrUnexpectedEOF},
		{"no outer kind", failure.Permanent("", "try: %w", transient), "try: ask: EOF", wait, 2, io.EOF},
		{"join of none", join(), "", "", 0, nil},
		{"join of one", join(transient), "ask: EOF", wait, 1, io.EOF},
		{"join of permanent ones", join(permanent, failure.Permanent("", "b")), `read "a": unexpected EOF; b`, mend, 2,
			io.ErrUnexpectedEOF},
		{"join of both kinds", join(permanent, transient), `read "a": unexpected EOF; ask: EOF`, mend, 1, io.EOF},
		{"turned", join(transient, permanent), `ask: EOF; read "a": unexpected EOF`, wait, 1, io.EOF},
		{"join has the first kind", join(io.EOF, transient), "EOF; ask: EOF", wait, 1, io.EOF},
		{"wrapped join", fmt.Errorf("all: %w", join(permanent, permanent)),
			`all: read "a": unexpected EOF; read "a": unexpected EOF`, mend, 2, io.ErrUnexpectedEOF},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.err != nil && row.err.Error() != row.text {
				t.Errorf("text %q", row.err)
			}
			if kind, _ := failure.Describe(row.err); kind != row.kind {
				t.Errorf("kind %q", kind)
			}
			permanent := row.code == 2
			if got := failure.ExitCode(row.err); got != row.code || failure.IsPermanent(row.err) != permanent {
				t.Errorf("code %d", got)
			}
			if !errors.Is(row.err, row.is) {
				t.Errorf("is not %v", row.is)
			}
		})
	}
}

// The facts stay with the kind that they belong to, and are set once.
func TestFacts(t *testing.T) {
	t.Parallel()
	first, second := failure.Facts{Object: "a", Service: "s", Want: "w", Status: 403}, failure.Facts{Object: "b"}
	inner := func() error { return fmt.Errorf("ask: %w", failure.With(failure.Permanent("inner", "x"), first)) }
	for name, row := range map[string]struct {
		err  error
		kind failure.Kind
		want failure.Facts
	}{
		"set":                     {inner(), "inner", first},
		"not set twice":           {failure.With(inner(), second), "inner", first},
		"outer":                   {failure.With(failure.Permanent("outer", "%w", inner()), second), "outer", second},
		"not of one without kind": {failure.With(failure.Transient("", "%w", inner()), second), "inner", first},
		"in a join":               {failure.Join([]error{io.EOF, inner(), io.EOF}), "inner", first},
		"not of an unknown error": {failure.With(io.EOF, first), "", failure.Facts{}},
		"not of no kind":          {failure.With(failure.Permanent("", "x"), first), "", failure.Facts{}},
	} {
		if kind, facts := failure.Describe(row.err); kind != row.kind || facts != row.want {
			t.Errorf("%s: kind %q, facts %+v", name, kind, facts)
		}
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	at := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://user:S3CRET@h/?token=S3CRET", Err: err}
	}
	verify := func(err error) error { return at(&tls.CertificateVerificationError{Err: err}) }
	expired := x509.CertificateInvalidError{Reason: x509.Expired}
	otherName := x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: protocol version not supported")}
	for _, row := range []struct {
		name string
		err  error
		text string
		kind failure.Kind
	}{
		{"unknown authority", verify(x509.UnknownAuthorityError{}), "reach h: tls: failed", failure.Untrusted},
		{"rejected by the platform", verify(errors.New("not compliant")), "not compliant", failure.Untrusted},
		{"bare unknown authority", x509.UnknownAuthorityError{}, "signed by unknown authority", failure.Untrusted},
		{"expired", expired, "expired", failure.Untrusted},
		{"another name", otherName, "reach h: ", failure.Untrusted},
		{"alert", at(alert), "agree on TLS with h: remote error: tls: protocol version", failure.TLSAlert},
		{"deadline", at(context.DeadlineExceeded), "reach h: no answer in time", failure.Timeout},
		{"timeout", at(&net.DNSError{IsTimeout: true}), "reach h: no answer in time", failure.Timeout},
		{"no such host", at(&net.DNSError{Err: "no such host", Name: "h"}), "no such host", failure.Unreachable},
		{"no socket", at(&net.OpError{Op: "dial", Net: "unix", Err: errors.New("no such file")}),
			"reach h: no such file", failure.Unreachable},
		{"refused", at(errors.New("connection\nrefused")), "reach h: connection refused", failure.Unreachable},
		{"refused, wrapped by the SDK", fmt.Errorf("S3CRET: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}),
			"reach h: dial: refused", failure.Unreachable},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := failure.Network("h", row.err)
			kind, facts := failure.Describe(got)
			if kind != row.kind || facts != (failure.Facts{Object: "h"}) || !strings.Contains(got.Error(), row.text) {
				t.Errorf("%v of kind %q, %+v", got, kind, facts)
			}
			permanent := kind == failure.Untrusted || kind == failure.TLSAlert
			if failure.IsPermanent(got) != permanent {
				t.Errorf("permanent %v: %v", !permanent, got)
			}
			if strings.ContainsAny(got.Error(), "\n") || strings.Contains(got.Error(), "S3CRET") {
				t.Errorf("%v", got)
			}
		})
	}
	if got := failure.Network("h", at(context.Canceled)); !errors.Is(got, context.Canceled) {
		t.Errorf("%v", got)
	}
}

func TestExcerpt(t *testing.T) {
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
		if got := failure.Excerpt(words); got != want {
			t.Errorf("Excerpt(%q) = %q, want %q", words, got, want)
		}
	}
}
