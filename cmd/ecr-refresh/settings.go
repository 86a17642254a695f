package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps/secret"
)

// setting is one input: a flag, and the names in the environment that stand in for it, first come first served.
type setting struct {
	flag     string
	env      []string
	usage    string
	fallback string // its value where nothing is given
}

// inputs are the settings of all commands, so that a thing has one name everywhere.
type inputs struct {
	account, region, connectionIDs, targets     setting
	recipient, metrics                          setting
	document, out, identityFile, maxAge         setting
	airflowURL, engine                          setting
	logFormat, logLevel, logOutput, timeout, ca setting
}

func settings() inputs {
	return inputs{
		account:       setting{"account", []string{"AIRFLOW_VAR_ECR_AWS_ACCOUNT"}, "AWS `ACCOUNT` of the registry, 12 digits", ""},
		region:        setting{"region", []string{"AIRFLOW_VAR_ECR_AWS_REGION_NAME"}, "AWS `REGION` of the registry", ""},
		connectionIDs: setting{"connection-ids", []string{"ECR_REFRESH_CONNECTION_IDS"}, "Airflow connection `IDS`, joined by commas (default: all declared targets, or docker_default)", ""},
		targets:       setting{"targets", nil, "`FILE` with a JSON list of targets, instead of $" + targetsEnv, ""},
		recipient:     setting{"recipient", []string{"ECR_REFRESH_RECIPIENT"}, "age `RECIPIENT` (age1…) to seal the token to, instead of this host's identity", ""},
		document:      setting{"in", []string{"ECR_REFRESH_DOCUMENT"}, "`FILE` with the document of the step before, or - for stdin", ""},
		out:           setting{"out", nil, "also write the result to `FILE` (0600)", ""},
		metrics:       setting{"metrics-file", []string{"ECR_REFRESH_METRICS_FILE"}, "also write metrics for Prometheus's textfile collector to `FILE`", ""},
		identityFile:  setting{"identity-file", []string{"ECR_REFRESH_IDENTITY_FILE"}, "`FILE` with the age identity, instead of this host's", ""},
		maxAge:        setting{"max-age", []string{"ECR_REFRESH_MAX_AGE"}, "refuse a document older than this `DURATION`", "1h"},
		airflowURL:    setting{"airflow-url", []string{"ECR_REFRESH_AIRFLOW_URL"}, "base `URL` of Airflow's API, instead of the connection's schema, host and port", ""},
		engine:        setting{"engine", []string{"ECR_REFRESH_ENGINE", "DOCKER_HOST"}, "Docker Engine's `HOST` (unix://… or tcp://…), or none", "unix:///var/run/docker.sock"},
		logFormat:     setting{"log-format", []string{"ECR_REFRESH_LOG_FORMAT"}, "`FORMAT` of the log: text or json", "text"},
		logLevel:      setting{"log-level", []string{"ECR_REFRESH_LOG_LEVEL"}, "lowest `LEVEL` to log: debug, info, warn or error", "info"},
		logOutput:     setting{"log-output", []string{"ECR_REFRESH_LOG_OUTPUT"}, "`STREAM` of the log: stderr or stdout", "stderr"},
		timeout:       setting{"timeout", []string{"ECR_REFRESH_TIMEOUT"}, "end the step after this `DURATION`", "60s"},
		ca:            setting{"ca-file", []string{"ECR_REFRESH_CA_FILE"}, "PEM `FILE` of certificates to trust beside the system's", ""},
	}
}

// common are the flags of every step's command.
func (in inputs) common() []setting {
	return []setting{in.timeout, in.ca, in.logFormat, in.logLevel, in.logOutput}
}

// cliFlag gives s to the library without its environment: the library would take an empty variable for a value.
func (s setting) cliFlag() cli.Flag {
	usage := s.usage
	if len(s.env) > 0 {
		usage += " [$" + strings.Join(s.env, ", $") + "]"
	}
	return &cli.StringFlag{Name: s.flag, Usage: usage, DefaultText: s.fallback, TakesFile: strings.Contains(usage, "`FILE`")}
}

// names tells a person how to give s.
func (s setting) names() string {
	return strings.Join(append([]string{"--" + s.flag}, s.env...), " or ")
}

// given gives the value of s from its flag or the environment, and where it came from; "" where neither has one.
func given(c *cli.Context, s setting) (value, source string) {
	if v := strings.TrimSpace(c.String(s.flag)); !unset(v) {
		return v, "--" + s.flag
	}
	for _, name := range s.env {
		if v := strings.TrimSpace(os.Getenv(name)); !unset(v) {
			return v, name
		}
	}
	return "", ""
}

// inParts gives a long input: one variable of the environment holds no more than 128 KiB, so name is followed by name_2,
// name_3 and so on. set tells whether the first is there at all, be it empty.
func inParts(name string) (text string, set bool) {
	first, set := os.LookupEnv(name)
	if unset(first) {
		return "", set
	}
	all := first
	for n := 2; ; n++ {
		part := os.Getenv(partName(name, n))
		if part == "" {
			return all, true
		}
		all += part
	}
}

// partName is the variable of part n, from 1 on.
func partName(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + "_" + strconv.Itoa(n)
}

// secret gives the first of names that the environment has. A secret has no flag: everybody can read argv.
func secretFromEnv(names ...string) secret.Secret {
	for _, name := range names {
		if v := os.Getenv(name); !unset(v) {
			return secret.New(v)
		}
	}
	return secret.Secret{}
}

// unset tells what Jinja renders for nothing: a null as None, a missing Variable as NOTSET, an empty field.
func unset(value string) bool {
	switch strings.TrimSpace(value) {
	case "", "None", "NOTSET":
		return true
	}
	return false
}
