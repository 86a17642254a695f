package dags

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The operators that run the steps.
const (
	Bash   = "bash"
	Docker = "docker"
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
		if !regexp.MustCompile(s.form).MatchString(*s.value) {
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

func (o *Options) settings() []setting {
	all := []setting{
		{"SCHEDULE", &o.Schedule, schedule, "a cron expression, a preset or None"},
		{"CONNECTION_IDS", &o.ConnectionIDs, connectionIDs, "connection ids joined by commas"},
	}
	if o.Operator == Docker {
		all = append(all, setting{"IMAGE", &o.Image, image, "the name of an image"})
	}
	return all
}

// None of these forms has a quote, a backslash or a line end in it.
const (
	preset        = `@(once|hourly|daily|weekly|monthly|quarterly|yearly|continuous)`
	schedule      = `^(None|` + preset + `|[0-9A-Za-z*/,#?-]+( [0-9A-Za-z*/,#?-]+){4})$`
	connectionIDs = `^[\w.-]+(,[\w.-]+)*$`
	image         = `^[a-zA-Z0-9][\w./:@-]*$`
)

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

const signature = "# Written by ecr-refresh %s. sha256 of what follows: %s\n"

// Sign returns a DAG's text below a line with the version that wrote it and a checksum, by which Signed detects edits.
func Sign(text, version string) string {
	return fmt.Sprintf(signature, strings.ReplaceAll(version, "\n", " "), checksum(text)) + text
}

// Signed returns the text below that line. ok reports whether there is one and the text has not been edited.
func Signed(signed string) (text string, ok bool) {
	head, text, _ := strings.Cut(signed, "\n")
	line := regexp.MustCompile(`^# Written by ecr-refresh .+\. sha256 of what follows: ([0-9a-f]{64})$`)
	m := line.FindStringSubmatch(head)
	return text, m != nil && m[1] == checksum(text)
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
