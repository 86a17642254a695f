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
	"testing"

	"ecr-refresh/steps/failure"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	const mend, wait failure.Kind = "mend", "wait"
	about, outer := failure.Facts{Object: "a", Want: "w"}, failure.Facts{Object: "b"}
	permanent := failure.Permanent(mend, "read %q: %w", "a", io.ErrUnexpectedEOF).About("a").Want("w")
	transient := failure.Transient(wait, "ask: %w", io.EOF)
	join := func(errs ...error) error { return failure.Join(errs) }
	type result struct {
		text  string
		kind  failure.Kind
		facts failure.Facts
		code  int
	}
	var none failure.Facts
	for _, row := range []struct {
		err  error
		is   error
		want result
	}{
		{nil, nil, result{"<nil>", "", none, 0}},
		{io.EOF, io.EOF, result{"EOF", "", none, 1}},
		{failure.With(io.EOF, outer), io.EOF, result{"EOF", "", none, 1}},
		{failure.With(permanent, outer), io.ErrUnexpectedEOF, result{`read "a": unexpected EOF`, mend, about, 2}},
		{failure.With(failure.Permanent("", "x"), outer), nil, result{"x", "", none, 2}},
		{fmt.Errorf("do: %w", transient), io.EOF, result{"do: ask: EOF", wait, none, 1}},
		{failure.With(failure.Transient("outer", "try: %w", permanent), outer), io.ErrUnexpectedEOF,
			result{`try: read "a": unexpected EOF`, "outer", outer, 1}},
		{failure.With(failure.Transient("", "try: %w", permanent), outer), io.ErrUnexpectedEOF,
			result{`try: read "a": unexpected EOF`, mend, about, 1}},
		{failure.Permanent("", "try: %w", transient), io.EOF, result{"try: ask: EOF", wait, none, 2}},
		{join(), nil, result{"<nil>", "", none, 0}},
		{join(transient), transient, result{"ask: EOF", wait, none, 1}},
		{join(permanent, failure.Permanent("", "b")), io.ErrUnexpectedEOF,
			result{`read "a": unexpected EOF; b`, mend, about, 2}},
		{join(io.EOF, permanent, transient), io.EOF, result{`EOF; read "a": unexpected EOF; ask: EOF`, mend, about, 1}},
		{fmt.Errorf("all: %w", join(transient, permanent)), io.ErrUnexpectedEOF,
			result{`all: ask: EOF; read "a": unexpected EOF`, wait, none, 1}},
	} {
		kind, facts := failure.Describe(row.err)
		got := result{fmt.Sprint(row.err), kind, facts, failure.ExitCode(row.err)}
		if got != row.want || failure.IsPermanent(row.err) != (row.want.code == 2) {
			t.Errorf("got %+v, want %+v", got, row.want)
		}
		if row.is != nil && !errors.Is(row.err, row.is) {
			t.Errorf("%v is not %v", row.err, row.is)
		}
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	at := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://user:S3CRET@h/?token=S3CRET", Err: err}
	}
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	dial := func(network string) error { return &net.OpError{Op: "dial", Net: network, Err: errors.New("no\nsuch")} }
	for _, row := range []struct {
		err  error
		text string
		kind failure.Kind
		code int
	}{
		{at(untrusted), "reach h: tls: failed to verify certificate: x509: certificate signed by unknown authority",
			failure.Untrusted, 2},
		{at(&net.OpError{Op: "remote error", Err: errors.New("tls: x")}), "agree on TLS with h: remote error: tls: x",
			failure.TLSAlert, 2},
		{at(context.DeadlineExceeded), "reach h: no answer in time", failure.Unreachable, 1},
		{at(&net.DNSError{IsTimeout: true}), "reach h: no answer in time", failure.Unreachable, 1},
		{at(&net.DNSError{Err: "no such host", Name: "h"}), "reach h: lookup h: no such host", failure.Unreachable, 1},
		{at(dial("unix")), "reach h: no such", failure.Unreachable, 1},
		{fmt.Errorf("the SDK: S3CRET: %w", dial("tcp")), "reach h: dial tcp: no such", failure.Unreachable, 1},
		{errors.New("unknown"), "reach h: unknown", failure.Unreachable, 1},
	} {
		got := failure.Network("h", row.err)
		kind, facts := failure.Describe(got)
		if got.Error() != row.text || kind != row.kind || facts != (failure.Facts{Object: "h"}) ||
			failure.ExitCode(got) != row.code {
			t.Errorf("%v of kind %q, %+v; want %+v", got, kind, facts, row)
		}
	}
	if got := failure.Network("h", at(context.Canceled)); !errors.Is(got, context.Canceled) {
		t.Errorf("%v", got)
	}
}
