// Package dags holds the Airflow DAG that runs the steps, and writes a site's settings into it.
package dags

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// RefreshDockerToken is the DAG refresh_docker_token_v4: the three steps, each a BashOperator. Render returns it with
// DockerOperator too.
//
//go:embed refresh_docker_token.py
var RefreshDockerToken string

// The operators that run the steps, and the names of the DAG's files with each.
const (
	Bash                         = "bash"
	Docker                       = "docker"
	RefreshDockerTokenFile       = "refresh_docker_token.py"
	RefreshDockerTokenDockerFile = "refresh_docker_token_docker.py"
)

// Options are the settings that Render writes into the DAG. An empty one keeps the DAG's own.
type Options struct {
	Operator      string // Bash or Docker
	Schedule      string // a cron expression, a preset such as @daily, or None
	ConnectionIDs string // joined by commas
	Image         string // of Docker's containers
}

// Render returns the name of the DAG's file and its text. It rejects a value that is not of its setting's form, so that
// none breaks out of its quotes.
func Render(o Options) (name, text string, err error) {
	name, text = RefreshDockerTokenFile, RefreshDockerToken
	switch {
	case o.Operator == Docker: // both DAGs can be deployed, and one of them scheduled
		name = RefreshDockerTokenDockerFile
		text = set(text, "OPERATOR", Docker)
		text = set(text, "DAG_ID", "refresh_docker_token_docker_v4")
		text = set(text, "SCHEDULE", "None")
	case o.Operator != Bash:
		return "", "", fmt.Errorf("operator %.20q is neither %s nor %s", o.Operator, Bash, Docker)
	case o.Image != "":
		return "", "", fmt.Errorf("image %.60q needs operator %s", o.Image, Docker)
	}
	for _, s := range o.settings() {
		if *s.value == "" {
			continue
		}
		if !regexp.MustCompile(`^(` + s.form + `)$`).MatchString(*s.value) {
			return "", "", fmt.Errorf("%.60q is not %s", *s.value, s.what)
		}
		text = set(text, s.name, *s.value)
	}
	return name, text, nil
}

// Keep fills the empty options from installed, a text that Render returned, where it differs from own, what Render
// returns now. It returns the lines that it took.
func (o *Options) Keep(installed, own string) (kept []string) {
	for _, s := range o.settings() {
		was := line(s.name).FindString(installed)
		if *s.value != "" || was == "" || was == line(s.name).FindString(own) {
			continue
		}
		_, value, _ := strings.Cut(was, " = ")
		if *s.value = strings.Trim(value, `"`); *s.value != "" {
			kept = append(kept, was)
		}
	}
	return kept
}

// setting is a constant of the DAG: its value in Options, and the form of its values.
type setting struct {
	name       string
	value      *string
	form, what string
}

// settings returns those that count. None of the forms has a quote, a backslash or a line end in it.
func (o *Options) settings() []setting {
	const field = `[0-9A-Za-z*/,#?-]+`
	all := []setting{
		{"SCHEDULE", &o.Schedule, `None|@(once|hourly|daily|weekly|monthly|quarterly|yearly|continuous)|` +
			field + `( ` + field + `){4}`, "a cron expression, a preset or None"},
		{"CONNECTION_IDS", &o.ConnectionIDs, `[\w.-]+(,[\w.-]+)*`, "connection ids joined by commas"},
		{"IMAGE", &o.Image, `[a-zA-Z0-9][\w./:@-]*`, "the name of an image"},
	}
	if o.Operator == Bash {
		all = all[:2]
	}
	return all
}

// line matches a constant's line.
func line(constant string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^` + constant + ` = (?:None|"[^"\n]*")`)
}

// set returns text with another value of a constant.
func set(text, constant, value string) string {
	if value != "None" {
		value = strconv.Quote(value)
	}
	return line(constant).ReplaceAllLiteralString(text, constant+" = "+value)
}

// Sign returns a DAG's text below a line with the version that wrote it and a checksum, by which Signed detects edits.
func Sign(text, version string) string {
	return fmt.Sprintf("# Written by ecr-refresh %s. %s\n%s", version, checksum(text), text)
}

// Signed returns the text below that line. ok reports whether there is one and the text has not been edited.
func Signed(signed string) (text string, ok bool) {
	head, text, _ := strings.Cut(signed, "\n")
	return text, strings.HasSuffix(head, checksum(text))
}

func checksum(text string) string {
	return fmt.Sprintf("sha256 of what follows: %x", sha256.Sum256([]byte(text)))
}

// Version returns the version of the ecr-refresh that signed a text, or "" where there is no such line.
func Version(signed string) string {
	head := regexp.MustCompile(`^# Written by ecr-refresh (.+?)\. sha256 `).FindStringSubmatch(signed)
	if head == nil {
		return ""
	}
	return head[1]
}
