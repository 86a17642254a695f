// Package xcom reads and writes the result that one step passes to the next as an XCom: one compact JSON object. Every
// Viewer of Airflow can read it, so nothing in it is secret but the encrypted tokens.
//
// Airflow passes it on through Jinja's tojson, which sorts keys and adds spaces: equal results may differ as bytes.
package xcom

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// Version is the only version of the results so far.
const Version = 1

// The names of the steps: each is its result's "step", the Airflow task_id and, with hyphens, the command.
const (
	StepExtractECRToken        = "extract_ecr_token"
	StepUpdateDockerConnection = "update_docker_connection"
	StepTestDockerConnection   = "test_docker_connection"
)

// Why a result cannot be read. The fact Object is the step that should have left it.
const (
	NoResult     failure.Kind = "step left no result"
	NotAResult   failure.Kind = "not a valid result of that step, or cut"
	OtherVersion failure.Kind = "result of another version"
)

// maxValues bounds the values of a result, of which a connection has eight: whoever edits XComs chooses what is read.
const maxValues = 50_000

// Head opens each result.
type Head struct {
	Version int    `json:"version"`
	Step    string `json:"step"`
}

// NewHead returns the head of a step's result.
func NewHead(step string) Head { return Head{Version, step} }

// ExtractECRToken is the result of step 1.
type ExtractECRToken struct {
	Head
	Recipient string    `json:"recipient"` // public key, age1…
	Sealed    string    `json:"sealed"`    // secret.Encrypt of all tokens
	Tokens    []Token   `json:"tokens"`
	Failures  []Failure `json:"failures"`
}

// Token is an encrypted token as it is shown, and what it is for.
type Token struct {
	secret.TokenInfo
	Connections []string `json:"connections"` // ids of the connections that get this token
}

// UpdateDockerConnection is the result of step 2.
type UpdateDockerConnection struct {
	Head
	Connections []Updated `json:"connections"`
	Failures    []Failure `json:"failures"`
}

// Updated is one connection as step 2 left it, and the token that it got.
// After a dry run Published is false, and PublishedAt is absent.
type Updated struct {
	ConnectionID string `json:"connection_id"`
	secret.TokenInfo
	Published   bool       `json:"published"`
	PublishedAt *time.Time `json:"published_at,omitempty"`
}

// TestDockerConnection is the result of step 3.
type TestDockerConnection struct {
	Head
	Connections []Tested  `json:"connections"`
	Failures    []Failure `json:"failures"`
}

// Tested is one connection as step 3 found it.
type Tested struct {
	ConnectionID string    `json:"connection_id"`
	RegistryURL  string    `json:"registry_url"`
	ExpiresAt    time.Time `json:"expires_at"`
	Matches      *bool     `json:"matches"` // null: not compared
	Engine       string    `json:"engine"`  // Docker's version, or "none"
	Login        string    `json:"login"`   // what Docker (or, without it, the registry) answered, or:
}

// What Login is after a dry run whose connection has no password that works.
const (
	LoginRefused = "refused"
	NoPassword   = "no password" // or no login
)

// Failure carries what went wrong for one target to the later tasks: a failed Airflow task has no XCom.
type Failure struct {
	ConnectionID string `json:"connection_id"`
	RegistryURL  string `json:"registry_url"`
	Step         string `json:"step"`
	Error        string `json:"error"`
}

// Print returns a result as one line of JSON with its line end.
func Print(result any) ([]byte, error) {
	line, err := json.Marshal(result)
	return append(line, '\n'), err
}

// result is what Parse can read.
type result interface {
	ExtractECRToken | UpdateDockerConnection | TestDockerConnection
	check() error
	step() string
}

func (ExtractECRToken) step() string        { return StepExtractECRToken }
func (UpdateDockerConnection) step() string { return StepUpdateDockerConnection }
func (TestDockerConnection) step() string   { return StepTestDockerConnection }

// Parse reads a result from the last non-empty line of text: older Docker providers put lines of the log before it.
// It ignores unknown fields. The error is permanent.
func Parse[R result](text string) (r R, err error) {
	text = strings.TrimSpace(text)
	line, step := strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:]), r.step()
	switch line {
	case "", "null", "None", `""`:
		return r, failure.Permanent(NoResult, "read result: %s left no result", step).About(step)
	}
	// Version and step come first, since another version's fields may mean something else.
	var head Head
	switch err = unmarshal(line, &head); {
	case err != nil:
	case head.Version != Version:
		const form = "read result of %s: its version is %d, and this binary reads version %d"
		return r, failure.Permanent(OtherVersion, form, step, head.Version, Version).About(step)
	case head.Step != step:
		err = fmt.Errorf("it is the result of %.40q", head.Step)
	// Each value but the first of an object or a list follows a comma.
	case strings.Count(line, ",")+strings.Count(line, "{")+strings.Count(line, "[") > maxValues:
		err = fmt.Errorf("it has over %d values", maxValues)
	default:
		if err = unmarshal(line, &r); err == nil {
			err = r.check()
		}
	}
	if err != nil {
		return r, failure.Permanent(NotAResult, "read result of %s: %w", step, err).About(step)
	}
	return r, nil
}

// unmarshal repeats nothing of the JSON package's messages, which may quote the input.
func unmarshal(line string, into any) error {
	if json.Unmarshal([]byte(line), into) != nil {
		return errors.New("it is not the JSON of a step's result, or is cut")
	}
	return nil
}

var connectionID = regexp.MustCompile(`^[\w.-]{1,200}$`)

// CheckConnectionID returns an error unless Airflow accepts id as a connection id.
func CheckConnectionID(id string) error {
	if !connectionID.MatchString(id) {
		return failure.Permanent("", "connection id %.40q is not letters, digits, '_', '.' and '-'", id)
	}
	return nil
}

// check leaves the tokens to step 2, which compares each field with what is encrypted.
func (r ExtractECRToken) check() error {
	missing := r.Recipient == "" || r.Sealed == "" || len(r.Tokens) == 0
	var ids []string
	for _, t := range r.Tokens {
		missing = missing || len(t.Connections) == 0
		ids = append(ids, t.Connections...)
	}
	return check(missing, ids)
}

func (r UpdateDockerConnection) check() error {
	missing := len(r.Connections)+len(r.Failures) == 0
	var ids []string
	for _, c := range r.Connections {
		missing = missing || len(c.RegistryURL) <= len("https://") || c.Username == "" || c.ExpiresAt.IsZero() ||
			c.Fingerprint == "" || c.Published && c.PublishedAt == nil
		ids = append(ids, c.ConnectionID)
	}
	return check(missing, ids)
}

// check is of no need: no step reads this result.
func (TestDockerConnection) check() error { return nil }

// check returns an error if a field is missing, or unless each id is one of a connection, and there once.
func check(missing bool, ids []string) error {
	if missing {
		return errors.New("it lacks a field, or a list in it is empty")
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if err := CheckConnectionID(id); err != nil || seen[id] {
			return cmp.Or(err, fmt.Errorf("connection id %.40q is there twice", id))
		}
		seen[id] = true
	}
	return nil
}
