package input

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
)

// Help on the inputs of Airflow's API, for descriptions of commands.
const (
	AirflowHelp = `Connection airflow-api (required) comes from the environment:
ECR_REFRESH_AIRFLOW_{CONN_TYPE,SCHEMA,HOST,PORT,LOGIN,PASSWORD}, or AIRFLOW_CONN_AIRFLOW_API (a URI, or JSON).
With grant_type client_credentials in its extra (ECR_REFRESH_AIRFLOW_GRANT_TYPE), login and password are the id and
secret of a Keycloak client.
ECR_REFRESH_AIRFLOW_TOKEN, a bearer token of that API, replaces login and password.`
	AdminHelp = `The admin account, ECR_REFRESH_ADMIN_{LOGIN,PASSWORD} or ECR_REFRESH_ADMIN_TOKEN, takes the place
of the airflow-api account where it is set.`
)

// Account is what messages call one of the two accounts of Airflow.
type Account string

// That of a person, who sets up, and that of connection airflow-api.
const (
	Admin Account = "admin account"
	API   Account = names.AirflowConnection + " account"
)

// describe returns the prefix of its variables, and what it is in the hint of a rejected login.
func (a Account) describe() (prefix, login string) {
	if a == Admin {
		return names.AdminPrefix, "login and password of the admin account (" + names.AdminPrefix + "{LOGIN,PASSWORD})"
	}
	return names.AirflowPrefix, "login and password of connection " + names.AirflowConnection
}

// Airflow returns a client that logs in with connection airflow-api, or nil where its URL is missing.
func (r *Reader) Airflow(roots Certificates) *airflowclient.Client {
	config, err := r.AirflowConfig()
	r.NeedAirflow(config, err)
	return r.Client(config, roots)
}

// AdminAirflow returns a client of the same Airflow that logs in as the admin, where one is given.
func (r *Reader) AdminAirflow(roots Certificates) *airflowclient.Client {
	if len(missing(r.config("", connectionIn(names.AdminPrefix), Admin))) == 2 {
		return r.Airflow(roots)
	}
	config, err := r.AirflowConfig()
	r.NeedHost(config, err)
	return r.Client(r.AdminConfig(config.BaseURL, false), roots)
}

// AirflowConfig returns what the environment has of connection airflow-api. --airflow-url replaces its URL. A URL that
// is not good is not returned: it may have a password.
func (r *Reader) AirflowConfig() (airflowclient.Config, error) {
	conn, err := connectionIn(names.AirflowPrefix), error(nil)
	if conn == (connection.Connection{}) {
		conn, err = connectionOf(names.AirflowConnection)
	}
	grantType := cmp.Or(lookup(names.GrantTypeEnv), conn.GrantType)
	base, source := r.Given(r.AirflowURL)
	if base == "" || err != nil {
		source = fmt.Sprintf("connection %q", APIConnection())
	}
	if base == "" && conn.Host != "" {
		base = conn.BaseURL()
	}
	if err == nil && base != "" {
		_, err = airflowclient.New(airflowclient.Config{BaseURL: base})
	}
	if err != nil {
		base, err = "", fmt.Errorf("%s: %w", source, err)
	}
	config := r.config(base, conn, API)
	if config.GrantType = grantType; grantType == "client_credentials" {
		config.Account = strings.Replace(config.Account, "login and password",
			"client id and secret (login and password, with grant_type client_credentials)", 1)
	}
	return config, err
}

// AdminConfig returns what the environment has of the admin's account, and asks for the rest on a terminal. An optional
// account that is not given is empty.
func (r *Reader) AdminConfig(base string, optional bool) airflowclient.Config {
	config := r.config(base, connectionIn(names.AdminPrefix), Admin)
	r.AskLogin(&config, Admin, optional)
	if optional && len(missing(config)) == 2 {
		return airflowclient.Config{}
	}
	r.NeedLogin(config, Admin)
	return config
}

// config returns a configuration for the token in a variable or, where that is empty, for a login.
func (r *Reader) config(base string, conn connection.Connection, of Account) airflowclient.Config {
	prefix, account := of.describe()
	token := secretIn(prefix + "TOKEN")
	if !token.Empty() {
		account = prefix + "TOKEN"
	}
	return airflowclient.Config{
		BaseURL: base, Login: conn.Login, Password: conn.Password, Token: token, Account: account, Log: r.Log,
	}
}

// AskLogin asks for what is missing of a login where stdin is a terminal, unless another input is missing.
func (r *Reader) AskLogin(config *airflowclient.Config, of Account, optional bool) {
	file, ok := r.Stdin.(*os.File)
	if !ok || !console.IsTerminal(file) || r.Faulty() || !config.Token.Empty() {
		return
	}
	r.End.Stop() // a person takes time
	if config.Login == "" {
		none := map[bool]string{true: " (empty: none)"}[optional]
		config.Login = console.Ask(file, r.App.ErrWriter, "login of the "+string(of)+none+": ")
	}
	if config.Login != "" && config.Password.Empty() {
		var err error
		question := fmt.Sprintf("password of the %s %q: ", of, config.Login)
		config.Password, err = console.AskPassword(r.Context.Context, file, r.App.ErrWriter, question)
		r.Fault(err)
	}
}

// missing returns the fields of a login that are not given.
func missing(config airflowclient.Config) (fields []string) {
	if config.Login == "" && config.Token.Empty() {
		fields = append(fields, "login")
	}
	if config.Password.Empty() && config.Token.Empty() {
		fields = append(fields, "password")
	}
	return fields
}

// NeedAirflow reports an error of AirflowConfig, or what is missing of connection airflow-api: in a task, of that one;
// in a shell, each input.
func (r *Reader) NeedAirflow(config airflowclient.Config, err error) {
	id, fields := APIConnection(), missing(config)
	if config.BaseURL == "" {
		fields = append([]string{"host"}, fields...)
	}
	switch all := strings.Join(fields, ", "); {
	case err != nil:
		r.Fault(err)
	case len(fields) == 3 && connectionIn(names.AirflowPrefix).Type == "": // the DAG passes on the type of any
		r.Fault(failure.Permanent(NoAirflow, "Airflow connection %q is missing", id))
	case Operator() != "" && all != "":
		r.Fault(failure.Permanent(BadField, "Airflow connection %q has no %s", id, all).About(id).Want(all))
	default:
		r.NeedHost(config, nil)
		r.NeedLogin(config, API)
	}
}

// NeedHost reports an error of AirflowConfig, or that Airflow's address is missing.
func (r *Reader) NeedHost(config airflowclient.Config, err error) {
	if r.Fault(err); err == nil && config.BaseURL == "" {
		r.Missing("Airflow host", r.AirflowURL.Names(), "")
	}
}

// NeedLogin reports what is missing of an account's login.
func (r *Reader) NeedLogin(config airflowclient.Config, of Account) {
	prefix, _ := of.describe()
	for _, field := range missing(config) {
		r.Missing(field+" of the "+string(of), prefix+strings.ToUpper(field), "")
	}
}

// Client returns a client, or nil where the base URL is missing.
func (r *Reader) Client(config airflowclient.Config, roots Certificates) *airflowclient.Client {
	if config.BaseURL == "" {
		return nil
	}
	to, _ := url.Parse(config.BaseURL) // AirflowConfig has checked it
	r.Fault(r.encrypted("https as schema of connection " + names.AirflowConnection)(to))
	config.Roots = roots.All
	client, err := airflowclient.New(config)
	r.Fault(err)
	return client
}

// AWS returns what reads AWS's own settings, and checks the URL of each call.
func (r *Reader) AWS(roots Certificates) ecr.Config {
	const want = "https in AWS_ENDPOINT_URL… or endpoint_url of the AWS profile"
	return ecr.DefaultConfig(roots.All, roots.Extra, r.encrypted(want), r.Log)
}

// encrypted returns what warns, once for each host, that what is sent to another host over http, or to Docker over tcp,
// can be read on its way, or rejects that. want is what to use instead.
func (r *Reader) encrypted(want string) func(*url.URL) error {
	required := r.yes(requireHTTPS, names.RequireHTTPSEnv)
	var warned sync.Map
	return func(to *url.URL) error {
		if to.Scheme != "http" && to.Scheme != "tcp" || isLocal(to) {
			return nil
		}
		if _, again := warned.LoadOrStore(to.Host, true); again && !required {
			return nil
		}
		return r.insecure(required, want, "http to "+to.Host+" sends secrets unencrypted")
	}
}

func isLocal(to *url.URL) bool {
	return to.Hostname() == "localhost" || net.ParseIP(to.Hostname()).IsLoopback()
}

// insecure returns an error where https is required, and else warns. want is what to use instead.
func (r *Reader) insecure(required bool, want, what string) error {
	fault := failure.Permanent(Unencrypted, "https is required: %s", what).Want(want)
	if required {
		return fault
	}
	r.Log.Warn(what, steps.FailureKey, fault) // #nosec G706 -- the log keeps each message on its line
	return nil
}
