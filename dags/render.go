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

// Options are what Render writes into a DAG in place of its own constants. What is "" stays as it is.
type Options struct {
	Operator      string // Bash or Docker
	Schedule      string // a cron expression, a preset such as @daily, or None
	ConnectionIDs string // joined by commas
	Image         string // of Docker's containers
}

// Render gives the name of the DAG's file and its text. A value that cannot be is an error: none of them can break out of
// its quotes.
func Render(o Options) (name, text string, err error) {
	switch o.Operator {
	case Bash:
		name, text = RefreshDockerTokenFile, RefreshDockerToken
	case Docker:
		name, text = RefreshDockerTokenDockerFile, RefreshDockerTokenDocker
	default:
		return "", "", fmt.Errorf("operator %.20q is neither %s nor %s", o.Operator, Bash, Docker)
	}
	for _, c := range o.constants() {
		if *c.value == "" {
			continue
		}
		if !regexp.MustCompile(c.form).MatchString(*c.value) {
			return "", "", fmt.Errorf("%.60q is not %s", *c.value, c.what)
		}
		if text, err = replaced(text, c.name, *c.value); err != nil {
			return "", "", err
		}
	}
	return name, text, nil
}

// Keep fills in what o leaves open from installed, a text that Render gave, where it differs from own, what Render gives
// now. It names the constants that it took, each with its value.
func (o *Options) Keep(installed, own string) (kept []string) {
	for _, c := range o.constants() {
		was := line(c.name).FindString(installed)
		if *c.value != "" || was == "" || was == line(c.name).FindString(own) {
			continue
		}
		_, value, _ := strings.Cut(was, " = ")
		if *c.value = strings.Trim(value, `"`); *c.value != "" {
			kept = append(kept, was)
		}
	}
	return kept
}

// constant is one of a DAG's: its value in Options, and the values that it may have.
type constant struct {
	name       string
	value      *string
	form, what string
}

func (o *Options) constants() []constant {
	return []constant{
		{"SCHEDULE", &o.Schedule, schedule, "a cron expression, a preset or None"},
		{"CONNECTION_IDS", &o.ConnectionIDs, connectionIDs, "connection ids joined by commas"},
		{"IMAGE", &o.Image, image, "the name of an image"},
	}
}

// line is where a constant stands: alone at the start of a line.
func line(constant string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^` + constant + ` = (?:None|"[^"\n]*")`)
}

// None of these forms has a quote, a backslash or a line end in it.
const (
	schedule      = `^(None|@(once|hourly|daily|weekly|monthly|quarterly|yearly|continuous)|[0-9A-Za-z*/,#?-]+( [0-9A-Za-z*/,#?-]+){4})$`
	connectionIDs = `^[\w.-]+(,[\w.-]+)*$`
	image         = `^[a-zA-Z0-9][\w./:@-]*$`
)

// replaced gives text with another value for a constant.
func replaced(text, constant, value string) (string, error) {
	line := line(constant)
	if len(line.FindAllString(text, -1)) != 1 {
		return "", fmt.Errorf("this DAG has no %s", constant)
	}
	if value != "None" {
		value = strconv.Quote(value)
	}
	return line.ReplaceAllLiteralString(text, constant+" = "+value), nil
}

const signature = "# Written by ecr-refresh %s. sha256 of what follows: %s\n"

// Sign puts a line above a DAG's text that names the version which wrote it, and lets Signed tell whether the text was
// edited since.
func Sign(text, version string) string {
	return fmt.Sprintf(signature, strings.ReplaceAll(version, "\n", " "), checksum(text)) + text
}

// Signed takes a signed text apart. ok tells that it is one, and that nobody edited it.
func Signed(signed string) (text string, ok bool) {
	head, text, _ := strings.Cut(signed, "\n")
	m := regexp.MustCompile(`^# Written by ecr-refresh .+\. sha256 of what follows: ([0-9a-f]{64})$`).FindStringSubmatch(head)
	return text, m != nil && m[1] == checksum(text)
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
