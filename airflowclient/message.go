package airflowclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// invalid stands for a message that may quote the request, password included.
const invalid = "the request did not pass validation"

// answered words an answer. What stands behind the colon is the server's.
func answered(status int, message string) string {
	if message == "" {
		return strings.TrimSpace(fmt.Sprintf("airflow answered %d %s", status, http.StatusText(status)))
	}
	return fmt.Sprintf("airflow answered %d: %s", status, message)
}

// message picks what a person can use out of an answer that reports a failure. Airflow's `detail` is a string, a list
// of validation errors or an object; an unknown route has `error` instead; a 500 is plain text, of which nothing is
// repeated. Input and context of a validation error are left out, and so is the Simple auth manager's 422, a string
// that holds the request.
func (a answer) message() string {
	var body struct{ Detail, Error json.RawMessage }
	if !a.isJSON() || json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(body.Error, &text) == nil && body.Detail == nil {
		return text
	}
	if json.Unmarshal(body.Detail, &text) == nil {
		if a.StatusCode == http.StatusUnprocessableEntity ||
			strings.Contains(text, "input_value") || strings.Contains(text, "'input'") {
			return invalid
		}
		return text
	}
	var object struct{ Reason, Message string }
	if json.Unmarshal(body.Detail, &object) == nil {
		return strings.Trim(object.Reason+": "+object.Message, ": ")
	}
	var list []struct { // of validation errors; that of a bulk request has each twice
		Loc []any
		Msg string
	}
	if json.Unmarshal(body.Detail, &list) != nil || len(list) == 0 {
		return ""
	}
	return fmt.Sprint(list[0].Loc) + ": " + list[0].Msg
}

// mentions reports whether name stands in a message as a whole word.
func mentions(message, name string) bool {
	words := strings.FieldsFunc(message, func(r rune) bool { return strings.ContainsRune(" `'\"(){}[],;", r) })
	return slices.ContainsFunc(words, func(word string) bool { return strings.TrimSuffix(word, ":") == name })
}
