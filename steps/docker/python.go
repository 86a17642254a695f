package docker

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// members are those of a JSON object, in their order, each name once with its last value: a Python dict.
type members []member

type member struct {
	name  string
	value json.RawMessage
}

// isJSON reports whether Python's json reads text, which is in UTF-8.
func isJSON(text []byte) bool { return utf8.Valid(text) && json.Valid(text) }

// object returns the members of raw, JSON text, or false if it is no object.
func object(raw []byte) (all members, ok bool) {
	in := json.NewDecoder(bytes.NewReader(raw))
	if first, _ := in.Token(); first != json.Delim('{') {
		return nil, false
	}
	at := map[string]int{}
	for in.More() {
		name, _ := in.Token()
		var value json.RawMessage
		_ = in.Decode(&value)
		key, _ := name.(string)
		if i, twice := at[key]; twice {
			all[i].value = value
			continue
		}
		at[key] = len(all)
		all = append(all, member{key, value})
	}
	return all, true
}

func (m members) get(name string) (json.RawMessage, bool) {
	for _, one := range m {
		if one.name == name {
			return one.value, true
		}
	}
	return nil, false
}

// unlessEmpty returns a member's value, or nil for one that Python takes for false.
func (m members) unlessEmpty(name string) json.RawMessage {
	raw, _ := m.get(name)
	var value any
	_ = json.Unmarshal(raw, &value)
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		if len(v) == 0 {
			return nil
		}
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	case bool, float64, string:
		if v == false || v == 0.0 || v == "" {
			return nil
		}
	}
	return raw
}

// decodeAuth returns the user and the password of an auth, base64 as Python's binascii.a2b_base64 reads it: it skips
// what is not of the alphabet, and ends at the first complete padding.
func decodeAuth(auth string) (username, password string, ok bool) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var data []byte
	pads, complete := 0, false
	for _, char := range []byte(auth) {
		switch {
		case char >= utf8.RuneSelf:
			return "", "", false
		case char == '=':
			pads++
			complete = len(data)%4 >= 2 && len(data)%4+pads >= 4
		case strings.IndexByte(alphabet, char) >= 0:
			data, pads = append(data, char), 0
		}
		if complete {
			break
		}
	}
	if !complete && len(data)%4 != 0 {
		return "", "", false
	}
	text, err := base64.RawStdEncoding.DecodeString(string(data))
	username, password, found := strings.Cut(string(text), ":")
	return username, password, err == nil && found && utf8.Valid(text)
}
