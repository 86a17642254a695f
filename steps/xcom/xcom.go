// Package xcom is the XCom-style document that one step leaves for the next: one compact JSON object. Airflow stores it
// where every Viewer can read it, so nothing in it is secret but what is sealed.
//
// Airflow hands it on through Jinja's tojson, which sorts keys and adds spaces: documents are equal as JSON, not as bytes.
package xcom

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"ecr-refresh/steps/failure"
)

// Version is the only version of the documents so far. Another one is refused.
const Version = 1

// The names of the steps: each is the document's "step", the Airflow task_id and, with hyphens, the command.
const (
	StepExtractECRToken        = "extract_ecr_token"
	StepUpdateDockerConnection = "update_docker_connection"
	StepTestDockerConnection   = "test_docker_connection"
)

// ExtractECRToken is document 1.
type ExtractECRToken struct {
	Version   int       `json:"version"`
	Step      string    `json:"step"`
	Recipient string    `json:"recipient"` // age1…
	Sealed    string    `json:"sealed"`    // token.Seal of all tokens
	Tokens    []Token   `json:"tokens"`
	Failures  []Failure `json:"failures"`
}

// Token is what may be known of a token. It must equal what is sealed.
type Token struct {
	RegistryURL string    `json:"registry_url"`
	Username    string    `json:"username"`
	IssuedAt    time.Time `json:"issued_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	Fingerprint string    `json:"fingerprint"` // token.Fingerprint
	Connections []string  `json:"connections"` // connection ids that get this token
}

// UpdateDockerConnection is document 2.
type UpdateDockerConnection struct {
	Version     int         `json:"version"`
	Step        string      `json:"step"`
	Connections []Published `json:"connections"`
	Failures    []Failure   `json:"failures"`
}

// Published is one connection as step 2 left it. Published is false after a dry run, and PublishedAt is absent.
type Published struct {
	ConnectionID string     `json:"connection_id"`
	RegistryURL  string     `json:"registry_url"`
	Username     string     `json:"username"`
	IssuedAt     time.Time  `json:"issued_at,omitzero"` // documents of earlier versions have none
	ExpiresAt    time.Time  `json:"expires_at"`
	Fingerprint  string     `json:"fingerprint"`
	Published    bool       `json:"published"`
	PublishedAt  *time.Time `json:"published_at,omitempty"`
}

// TestDockerConnection is document 3.
type TestDockerConnection struct {
	Version     int       `json:"version"`
	Step        string    `json:"step"`
	Connections []Tested  `json:"connections"`
	Failures    []Failure `json:"failures"`
}

// Tested is one connection as step 3 found it.
type Tested struct {
	ConnectionID string    `json:"connection_id"`
	RegistryURL  string    `json:"registry_url"`
	ExpiresAt    time.Time `json:"expires_at"`
	Matches      *bool     `json:"matches"` // null: not compared
	Engine       string    `json:"engine"`  // the Engine's version, or "none"
	Login        string    `json:"login"`   // what the Engine (or, without one, the registry) said
}

// Failure carries what went wrong for one target past the tasks behind it: a red Airflow task leaves no XCom.
type Failure struct {
	ConnectionID string `json:"connection_id"`
	RegistryURL  string `json:"registry_url"`
	Step         string `json:"step"`
	Error        string `json:"error"`
}

// document is what Parse can read.
type document interface {
	ExtractECRToken | UpdateDockerConnection | TestDockerConnection
	check() []error
	step() string
}

func (ExtractECRToken) step() string        { return StepExtractECRToken }
func (UpdateDockerConnection) step() string { return StepUpdateDockerConnection }
func (TestDockerConnection) step() string   { return StepTestDockerConnection }

// Parse reads a document out of the last non-empty line of text: older Docker providers glue log lines to the result.
// Unknown fields are ignored. Every fault of the document is in the error, which is permanent.
func Parse[D document](text string) (D, error) {
	var doc D
	line := lastLine(text)
	switch line {
	case "", "null", "None", `""`:
		return doc, failure.Permanent("run it first, or clear it with Downstream", "read document: %s left no result", doc.step())
	}
	if err := decode(line, &doc); err != nil {
		return doc, failure.Permanent(failure.Kind(fmt.Sprintf("hand over the last line that %s printed, unchanged: Airflow's Docker provider "+
			"before 4.5.1 cuts a long one", doc.step())),
			"read document of %s: %w", doc.step(), err)
	}
	if err := errors.Join(doc.check()...); err != nil {
		return doc, failure.Permanent(failure.Kind(fmt.Sprintf("clear %s with Downstream: it makes a new document", doc.step())),
			"read document of %s: %s", doc.step(), strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return doc, nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return strings.TrimSpace(text)
}

// decode looks at version and step before anything else, since another version's fields may mean something else.
func decode[D document](line string, doc *D) error {
	var head struct {
		Version int    `json:"version"`
		Step    string `json:"step"`
	}
	if err := unmarshal(line, &head); err != nil {
		return err
	}
	if head.Version != Version {
		return fmt.Errorf("its version is %d, and this binary reads version %d: run one binary in all three tasks", head.Version, Version)
	}
	if head.Step != (*doc).step() {
		return fmt.Errorf("it is a document of %.40q", head.Step)
	}
	return unmarshal(line, doc)
}

// unmarshal keeps the JSON package's words to those that do not quote the input.
func unmarshal(line string, into any) error {
	in := json.NewDecoder(strings.NewReader(line))
	err := in.Decode(into)
	var field *json.UnmarshalTypeError
	switch {
	case errors.As(err, &field) && field.Field != "":
		return fmt.Errorf("field %q is not of type %s", field.Field, field.Type)
	case err != nil:
		return errors.New("it is not a JSON object, or is cut, or a time in it is malformed")
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

var (
	connectionID = regexp.MustCompile(`^[\w.-]+$`)
	fingerprint  = regexp.MustCompile(`^[0-9a-f]{12}$`)
)

// NewExtractECRToken gives an empty document 1.
func NewExtractECRToken() ExtractECRToken {
	return ExtractECRToken{Version: Version, Step: StepExtractECRToken, Tokens: []Token{}, Failures: []Failure{}}
}

// NewUpdateDockerConnection gives an empty document 2.
func NewUpdateDockerConnection() UpdateDockerConnection {
	return UpdateDockerConnection{Version: Version, Step: StepUpdateDockerConnection, Connections: []Published{}, Failures: []Failure{}}
}

// NewTestDockerConnection gives an empty document 3.
func NewTestDockerConnection() TestDockerConnection {
	return TestDockerConnection{Version: Version, Step: StepTestDockerConnection, Connections: []Tested{}, Failures: []Failure{}}
}

// Print gives doc as one line of JSON with its line end.
func Print(doc any) ([]byte, error) {
	line, err := json.Marshal(doc)
	return append(line, '\n'), err
}
