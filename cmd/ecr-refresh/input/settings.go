package input

import (
	"strings"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/ecr"
)

// Setting is one input: a flag, and the variables that stand in for it, the first that is set.
type Setting struct {
	Flag, Usage string
	Fallback    string // its value where nothing is given
	Env         []string
	Choices     []string // what a shell completes it with

	title, example string // of one that the DAG passes from an Airflow Variable
	check          func(string) error
}

// Settings are the inputs of all commands, so that a thing has one name everywhere.
type Settings struct {
	Account, Region, ConnectionIDs, TargetsFile Setting
	Recipient, Metrics                          Setting
	Previous, Out, IdentityFile, MaxAge         Setting
	AirflowURL, Engine                          Setting
	LogFormat, LogLevel, LogOutput, Timeout, CA Setting
}

// NewSettings returns the names, texts and fallbacks of all inputs.
func NewSettings() Settings {
	set := func(flag, usage, fallback string, env ...string) Setting {
		return Setting{Flag: flag, Usage: usage, Fallback: fallback, Env: env}
	}
	return Settings{
		Account: Setting{
			Flag: "account", Usage: "AWS `ACCOUNT` of the registry, 12 digits", Env: []string{names.AccountEnv},
			title: "AWS account", example: "123456789012", check: ecr.CheckAccount,
		},
		Region: Setting{
			Flag: "region", Usage: "AWS `REGION` of the registry", Env: []string{names.RegionEnv},
			title: "AWS region", example: "us-east-1", check: ecr.CheckRegion,
		},
		ConnectionIDs: set("connection-ids", "Airflow connection `IDS`, joined by commas (default: all targets, or "+
			names.DockerConnection+")", "", names.ConnectionIDsEnv),
		TargetsFile: set("targets", "`FILE` with a JSON list of targets, instead of $"+names.TargetsEnv, ""),
		Recipient: set("recipient", "age public key `RECIPIENT` (age1…) to encrypt the token to, "+
			"instead of this host's own", "", names.RecipientEnv),
		Previous: set("in", "`FILE` with the result of the previous step, or - for stdin", "", names.ResultEnv),
		Out:      set("out", "also write the result to `FILE` (0600)", ""),
		Metrics: set("metrics-file", "also write metrics to `FILE` for Prometheus's textfile collector; "+
			"each step and DAG needs its own, such as ecr_refresh_{step}_{dag}.prom", "", "ECR_REFRESH_METRICS_FILE"),
		IdentityFile: set("identity-file", "`FILE` with the age private key, instead of this host's own", "",
			"ECR_REFRESH_IDENTITY_FILE"),
		MaxAge: set("max-age", "reject a token older than this `DURATION`", "1h", "ECR_REFRESH_MAX_AGE"),
		AirflowURL: set("airflow-url", "base `URL` of Airflow's API, instead of the connection's schema, host "+
			"and port", "", "ECR_REFRESH_AIRFLOW_URL"),
		Engine: set("engine", "Docker's `HOST` (unix://… or tcp://…), or none", "unix:///var/run/docker.sock",
			"ECR_REFRESH_ENGINE", "DOCKER_HOST").of("none"),
		LogFormat: set("log-format", "`FORMAT` of the log: text or json", "text",
			"ECR_REFRESH_LOG_FORMAT").of("text", "json"),
		LogLevel: set("log-level", "lowest `LEVEL` to log: debug, info, warn or error", "info",
			"ECR_REFRESH_LOG_LEVEL").of("debug", "info", "warn", "error"),
		LogOutput: set("log-output", "`STREAM` of the log: stderr or stdout", "stderr",
			"ECR_REFRESH_LOG_OUTPUT").of("stderr", "stdout"),
		Timeout: set("timeout", "end the command after this `DURATION`", "60s", "ECR_REFRESH_TIMEOUT"),
		CA:      set("ca-file", "PEM `FILE` of certificates to trust beside the system's", "", "ECR_REFRESH_CA_FILE"),
	}
}

// Calling returns the settings of every command that calls a service.
func (s Settings) Calling() []Setting { return []Setting{s.Timeout, s.CA} }

// Logging returns the settings of every command.
func (s Settings) Logging() []Setting { return []Setting{s.LogFormat, s.LogLevel, s.LogOutput} }

// of returns the setting with values that it may have.
func (s Setting) of(choices ...string) Setting {
	s.Choices = choices
	return s
}

// Required returns the setting as one that must be given, always or, say, "without --targets".
func (s Setting) Required(when string) Setting {
	s.Usage += strings.TrimRight(" (required "+when, " ") + ")"
	return s
}

// CLI returns the library's flag. It has no environment: the library would use an empty variable as a value.
func (s Setting) CLI() cli.Flag {
	usage := s.Usage
	if len(s.Env) > 0 {
		usage += " [$" + strings.Join(s.Env, ", $") + "]"
	}
	takesFile := strings.Contains(usage, "`FILE`")
	return &cli.StringFlag{Name: s.Flag, Usage: usage, DefaultText: s.Fallback, TakesFile: takesFile}
}

// Names returns the flag and the variables, for a person who has to set s.
func (s Setting) Names() string { return "--" + s.Flag + " (" + strings.Join(s.Env, ", ") + ")" }

// Switch returns a flag without a value.
func Switch(name, usage string) cli.Flag {
	return &cli.BoolFlag{Name: name, Usage: usage, DisableDefaultText: true}
}

// DryRunFlag returns the flag that Reader.DryRun reads.
func DryRunFlag() cli.Flag {
	return Switch(dryRun, "check all, update nothing [$"+names.DryRunEnv+"]")
}

// RequireHTTPSFlag returns the flag of commands that send secrets.
func RequireHTTPSFlag() cli.Flag {
	return Switch(requireHTTPS, "reject http to Airflow, Docker or AWS on another host [$"+names.RequireHTTPSEnv+"]")
}

// The names of flags that are given to Reader.yes.
const dryRun, requireHTTPS = "dry-run", "require-https"
