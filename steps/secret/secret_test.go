package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox/leaks"
	"ecr-refresh/steps/secret"
)

const clear = "S3CRETpassw0rd"

// shows reports whether text holds the secret in a form that fmt can print it in.
func shows(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, strings.ToLower(clear)) ||
		strings.Contains(text, fmt.Sprintf("%x", clear)) ||
		strings.Contains(text, fmt.Sprintf("% x", clear)) ||
		strings.Contains(text, strings.Trim(fmt.Sprint([]byte(clear)), "[]")) ||
		strings.Contains(text, "0x53, 0x33")
}

// holders are the places a secret may stand in when somebody prints it.
func holders(t *testing.T) []any {
	s, id := secret.New(clear), mustParse(t)
	type inner struct{ hidden secret.Secret }
	type outer struct {
		Shown   secret.Secret
		inner   inner
		pointer *inner
	}
	return []any{
		s, &s, outer{s, inner{s}, &inner{s}}, &outer{s, inner{s}, &inner{s}}, []secret.Secret{s}, [1]inner{{s}},
		map[string]secret.Secret{"a": s}, map[secret.Secret]int{s: 1}, []any{s, &s}, secret.Token{Password: s},
		fmt.Errorf("log in with %s: %w", s, errors.New("refused")),
		id, &id, struct{ id secret.Identity }{id}, []secret.Identity{id},
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	for _, holder := range holders(t) {
		printed := leaks.Printed(holder) + recovered(holder)
		if shows(printed) || strings.Contains(printed, "AGE-SECRET-KEY") {
			t.Errorf("%T leaks: %s", holder, printed)
		}
	}
}

func recovered(value any) (text string) {
	defer func() { text = fmt.Sprintf("panic: %v", recover()) }()
	panic(value)
}

// A "[redacted]" that marshals could be written into Airflow as a password: every encoder must fail.
func TestSecretIsNotMarshalled(t *testing.T) {
	t.Parallel()
	for _, value := range append(holders(t)[:10], secret.Secret{}) {
		if out, err := json.Marshal(value); err == nil && !bytes.Equal(out, []byte(`[{}]`)) { // unexported fields
			t.Errorf("json of %T: %s", value, out)
		}
	}
}

func TestSecretValue(t *testing.T) {
	t.Parallel()
	a, none := secret.New("a"), secret.Secret{}
	if a.Reveal() != "a" || none.Reveal() != "" || a.Empty() || !none.Empty() || !secret.New("").Empty() {
		t.Errorf("%q and %q", a.Reveal(), none.Reveal())
	}
	if got := fmt.Sprintf("%s %x %v", a, &none, mustParse(t)); got != "[redacted] [redacted] [redacted]" {
		t.Errorf("got %q", got)
	}
	// The fingerprint is of the whole token: printf %s … | sha256sum | cut -c -12
	if got := secret.Fingerprint(secret.New(strings.Repeat("token", 500))); got != "7955d8116809" {
		t.Errorf("got %q", got)
	}
}

// An expiry in the past, as moto's in 2015, is for others to report; a result without issued_at is measured by now.
func TestCheck(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	good := secret.TokenInfo{RegistryURL: "https://1.dkr.ecr.us-east-1.amazonaws.com", Username: "AWS",
		IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(11 * time.Hour)}
	late := good
	late.IssuedAt, late.ExpiresAt = time.Time{}, now.AddDate(0, 0, 1)
	for name, row := range map[string]struct {
		edit func(*secret.TokenInfo)
		ok   bool
	}{
		"good":                   {func(*secret.TokenInfo) {}, true},
		"moto":                   {func(t *secret.TokenInfo) { t.ExpiresAt = now.AddDate(-11, 0, 0) }, true},
		"another worker's clock": {func(t *secret.TokenInfo) { t.IssuedAt = now.Add(secret.ClockSkew) }, true},
		"issued in the future":   {func(t *secret.TokenInfo) { t.IssuedAt = now.Add(secret.ClockSkew + 1) }, false},
		"AWS's clock":            {func(t *secret.TokenInfo) { t.ExpiresAt = t.ExpiresAt.Add(secret.ClockSkew) }, true},
		"expires late":           {func(t *secret.TokenInfo) { t.ExpiresAt = now.AddDate(0, 0, 1) }, false},
		"issued_at not known":    {func(t *secret.TokenInfo) { t.IssuedAt = time.Time{} }, true},
		"nor when, and late":     {func(t *secret.TokenInfo) { *t = late }, false},
		"another port":           {func(t *secret.TokenInfo) { t.RegistryURL += ":8443" }, false},
		"http":                   {func(t *secret.TokenInfo) { t.RegistryURL = "http" + t.RegistryURL[5:] }, false},
		"another user":           {func(t *secret.TokenInfo) { t.Username = "root" }, false},
	} {
		info := good
		row.edit(&info)
		if err := info.Check(now); (err == nil) != row.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
