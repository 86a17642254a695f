package docker

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// isJSON reports whether Python's json reads text, which is in UTF-8.
func isJSON(text []byte) bool { return utf8.Valid(text) && json.Valid(text) }

// object returns the members of a JSON object, or nil for what is none. Of a name that is there twice it has the last
// value, as Python's dict; struct tags would match names in any case.
func object(raw []byte) (members map[string]json.RawMessage) {
	_ = json.Unmarshal(raw, &members)
	return members
}

// names returns those of a JSON object in their order.
func names(raw []byte) (all []string) {
	in := json.NewDecoder(bytes.NewReader(raw))
	_, _ = in.Token() // {
	for in.More() {
		name, _ := in.Token()
		_ = in.Decode(new(json.RawMessage))
		all = append(all, name.(string))
	}
	return all
}

// unlessEmpty returns a JSON value, or nil for one that Python takes for false.
func unlessEmpty(raw json.RawMessage) json.RawMessage {
	var value any
	if json.Unmarshal(raw, &value) != nil || !IsTrue(value) {
		return nil
	}
	return raw
}

// IsTrue reports whether Python takes a JSON value for true.
func IsTrue(value any) bool {
	switch v := value.(type) {
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return !slices.Contains([]any{nil, false, 0.0, ""}, value)
}

// decodeAuth returns the user and the password of an auth, base64 as Python's binascii.a2b_base64 reads it: it skips
// what is not of the alphabet, and ends where "=" completes a group.
func decodeAuth(raw json.RawMessage) (username, password string, ok bool) {
	var auth string
	beyondASCII := func(r rune) bool { return r >= utf8.RuneSelf }
	if json.Unmarshal(raw, &auth) != nil || strings.ContainsFunc(auth, beyondASCII) {
		return "", "", false
	}
	data, pads := "", 0
	for _, char := range regexp.MustCompile(`[A-Za-z0-9+/=]`).FindAllString(auth, -1) {
		if char != "=" {
			data, pads = data+char, 0
			continue
		}
		pads++
		if group := len(data) % 4; group >= 2 && group+pads >= 4 {
			data += "=="[group-2:]
			break
		}
	}
	text, err := base64.StdEncoding.DecodeString(data)
	username, password, found := strings.Cut(string(text), ":")
	return username, password, err == nil && found && utf8.Valid(text)
}
