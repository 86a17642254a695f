package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"ecr-refresh/steps/secret"
)

const clear = "S3CRETpassw0rd"

// leaks reports whether text holds the secret in a form that fmt can print it in.
func leaks(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, strings.ToLower(clear)) ||
		strings.Contains(text, fmt.Sprintf("%x", clear)) ||
		strings.Contains(text, fmt.Sprintf("% x", clear)) ||
		strings.Contains(text, strings.Trim(fmt.Sprint([]byte(clear)), "[]")) ||
		strings.Contains(text, "0x53, 0x33")
}

// holders are the places a secret may stand in when somebody prints it.
func holders() map[string]any {
	s := secret.New(clear)
	type inner struct{ hidden secret.Secret }
	type outer struct {
		Shown   secret.Secret
		inner   inner
		pointer *inner
	}
	id, err := secret.ParseIdentity(secret.New(identity))
	if err != nil {
		panic(err)
	}
	return map[string]any{
		"secret":             s,
		"pointer":            &s,
		"struct":             outer{s, inner{s}, &inner{s}},
		"pointer to struct":  &outer{s, inner{s}, &inner{s}},
		"slice":              []secret.Secret{s},
		"array of unshown":   [1]inner{{s}},
		"map":                map[string]secret.Secret{"a": s},
		"map key":            map[secret.Secret]int{s: 1},
		"any":                []any{s, &s},
		"token":              secret.Token{Password: s},
		"error":              fmt.Errorf("log in with %s: %w", s, errors.New("refused")),
		"identity":           id,
		"identity, unshown":  struct{ id secret.Identity }{id},
		"pointer to it":      &id,
		"list of identities": []secret.Identity{id},
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	for name, holder := range holders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			printed := fmt.Sprint(holder) + fmt.Sprintln(holder)
			for _, verb := range strings.Split("v +v #v s q #q x X # x d t c U e b o p T w 10v -20s .3s", " ") {
				printed += fmt.Sprintf("%"+verb, holder)
			}
			for _, sink := range []func(*bytes.Buffer) slog.Handler{
				func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
				func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
			} {
				var out bytes.Buffer
				log := slog.New(sink(&out)).With("with", holder)
				log.Info(fmt.Sprint(holder), "a", holder, slog.Group("g", "b", holder))
				printed += out.String()
			}
			printed += recovered(holder)
			if leaks(printed) || strings.Contains(printed, identity) || strings.Contains(printed, "AGE-SECRET-KEY") {
				t.Errorf("leaks: %s", printed)
			}
		})
	}
}

func recovered(value any) (text string) {
	defer func() { text = fmt.Sprintf("panic: %v", recover()) }()
	panic(value)
}

func TestSecretPrintsAsRedacted(t *testing.T) {
	t.Parallel()
	s := secret.New(clear)
	for _, got := range []string{
		s.String(), fmt.Sprint(s), fmt.Sprintf("%x", s), fmt.Sprintf("%#v", &s), s.LogValue().String(),
		fmt.Sprint(secret.Secret{}),
	} {
		if got != "[redacted]" {
			t.Errorf("got %q", got)
		}
	}
}

// A "[redacted]" that marshals could be written into Airflow as a password: every encoder must fail.
func TestSecretIsNotMarshalled(t *testing.T) {
	t.Parallel()
	type outer struct {
		Name     string
		Password secret.Secret
	}
	s := secret.New(clear)
	encoders := map[string]func(any) ([]byte, error){
		"json": json.Marshal,
		"xml":  xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var out bytes.Buffer
			err := gob.NewEncoder(&out).Encode(v)
			return out.Bytes(), err
		},
	}
	for name, encode := range encoders {
		for _, value := range []any{
			s, &s, secret.Secret{}, outer{"a", s}, &outer{"a", s}, []secret.Secret{s}, []outer{{"a", s}},
		} {
			if out, err := encode(value); err == nil || leaks(string(out)) || leaks(err.Error()) {
				t.Errorf("%s of %T: %q, %v", name, value, out, err)
			}
		}
	}
	for _, value := range []any{map[secret.Secret]int{s: 1}, map[string]any{"a": s}, secret.Token{Password: s}} {
		if out, err := json.Marshal(value); err == nil {
			t.Errorf("json of %T: %s", value, out)
		}
	}
	if text, err := s.MarshalText(); err == nil || text != nil {
		t.Errorf("text: %q, %v", text, err)
	}
}

func TestSecretValue(t *testing.T) {
	t.Parallel()
	a, b, none := secret.New("a"), secret.New("b"), secret.Secret{}
	if a.Reveal() != "a" || none.Reveal() != "" {
		t.Errorf("reveals %q and %q", a.Reveal(), none.Reveal())
	}
	if a.Empty() || !none.Empty() || !secret.New("").Empty() {
		t.Error("Empty is wrong")
	}
	if a.Equal(b) || !a.Equal(secret.New("a")) || !none.Equal(secret.New("")) {
		t.Error("Equal is wrong")
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	// printf token | sha256sum | cut -c -12
	if got := secret.Fingerprint(secret.New("token")); got != "3c469e9d6c58" {
		t.Errorf("got %q", got)
	}
}
