package input

import (
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
	"ecr-refresh/steps/transport"
)

// Help on the inputs of Airflow's API, for descriptions of commands.
const (
	AirflowHelp = `Connection airflow-api (required) comes from the environment:
ECR_REFRESH_AIRFLOW_{CONN_TYPE,SCHEMA,HOST,PORT,LOGIN,PASSWORD}, or AIRFLOW_CONN_AIRFLOW_API (a URI, or JSON).
ECR_REFRESH_AIRFLOW_TOKEN, a bearer token of that API, replaces login and password.`
	AdminHelp = `The admin account, ECR_REFRESH_ADMIN_{LOGIN,PASSWORD} or ECR_REFRESH_ADMIN_TOKEN, takes the place
of the airflow-api account where it is set.`
)

// What messages call the two accounts of Airflow: that of a person, who sets up, and that of connection airflow-api.
const (
	AdminAccount = "admin account"
	APIAccount   = names.AirflowConnection + " account"
	// AirflowAccount is the latter in the hint of a rejected login.
	AirflowAccount = "login and password of connection " + names.AirflowConnection
)

// Airflow returns a client that logs in with connection airflow-api, or nil where its URL is missing.
func (r *Reader) Airflow(roots Certificates) *airflowclient.Client {
	config, err := r.AirflowConfig()
	if r.Fault(err); err == nil {
		r.NeedAirflow(config)
	}
	return r.Client(config, roots)
}

// AdminAirflow returns a client of the same Airflow that logs in as the admin, where one is given.
func (r *Reader) AdminAirflow(roots Certificates) *airflowclient.Client {
	if !AdminGiven() {
		return r.Airflow(roots)
	}
	config, err := r.AirflowConfig()
	if r.Fault(err); err == nil {
		r.NeedHost(config)
	}
	return r.Client(r.AdminConfig(config.BaseURL, false), roots)
}

// AdminGiven reports whether the environment has the account of a person who may do more than airflow-api's.
func AdminGiven() bool {
	return connectionIn(names.AdminPrefix) != connection.Connection{} || !secretIn(names.AdminPrefix+"TOKEN").Empty()
}

// AirflowConfig returns what the environment has of connection airflow-api. --airflow-url replaces its URL. A URL that
// is not good is not returned: it may have a password.
func (r *Reader) AirflowConfig() (airflowclient.Config, error) {
	conn, err := connectionIn(names.AirflowPrefix), error(nil)
	if conn == (connection.Connection{}) {
		conn, err = connectionOf(names.AirflowConnection)
	}
	base, source := r.Given(r.AirflowURL)
	if err == nil && base == "" && conn.Host != "" {
		base, err = conn.BaseURL()
	}
	if err != nil {
		err = fmt.Errorf("connection %q: %w", APIConnection(), err)
	} else if wrong := connection.CheckBaseURL(base); wrong != nil {
		err = failure.Permanent(BadValue, "%s %w", source, wrong).About(source)
	} else if base != "" {
		_, err = airflowclient.New(airflowclient.Config{BaseURL: base})
	}
	if err != nil {
		base = ""
	}
	return r.config(base, conn, names.AirflowPrefix, AirflowAccount), err
}

// AdminConfig returns what the environment has of the admin's account, and asks for the rest on a terminal. An optional
// account that is not given is empty.
func (r *Reader) AdminConfig(base string, optional bool) airflowclient.Config {
	const account = "login and password of the " + AdminAccount + " (" + names.AdminPrefix + "{LOGIN,PASSWORD})"
	config := r.config(base, connectionIn(names.AdminPrefix), names.AdminPrefix, account)
	question := AdminAccount
	if optional {
		question += " (empty: none)"
	}
	r.AskLogin(question, &config)
	if optional && config.Login == "" && !AdminGiven() {
		return airflowclient.Config{}
	}
	r.NeedLogin(config, AdminAccount, names.AdminPrefix)
	return config
}

// config returns a configuration for the token in a variable or, where that is empty, for the login that account
// describes.
func (r *Reader) config(base string, conn connection.Connection, prefix, account string) airflowclient.Config {
	token := secretIn(prefix + "TOKEN")
	if !token.Empty() {
		account = prefix + "TOKEN"
	}
	return airflowclient.Config{
		BaseURL: base, Login: conn.Login, Password: conn.Password, Token: token, Account: account, Log: r.Log,
	}
}

// AskLogin asks for what is missing of a login, such as that of the "admin account", where stdin is a terminal. It does
// not ask when another input is missing.
func (r *Reader) AskLogin(account string, config *airflowclient.Config) {
	file, ok := r.Stdin.(*os.File)
	if !ok || !console.IsTerminal(file) || r.Faulty() || !config.Token.Empty() {
		return
	}
	r.end.timer.Stop() // a person takes time
	if config.Login == "" {
		config.Login = console.Ask(file, r.App.ErrWriter, "login of the "+account+": ")
	}
	if config.Login != "" && config.Password.Empty() {
		var err error
		account, _, _ = strings.Cut(account, " (")
		question := fmt.Sprintf("password of the %s %q: ", account, config.Login)
		config.Password, err = console.AskPassword(r.Context.Context, file, r.App.ErrWriter, question)
		r.Fault(err)
	}
}

// NeedAirflow reports what is missing of connection airflow-api: in a task, of that one; in a shell, each input.
func (r *Reader) NeedAirflow(config airflowclient.Config) {
	id := APIConnection()
	fields := lacking(config)
	if config.BaseURL == "" {
		fields = append([]string{"host"}, fields...)
	}
	switch all := strings.Join(fields, ", "); {
	case len(fields) == 3 && connectionIn(names.AirflowPrefix).Type == "": // the DAG passes on the type of any
		r.Fault(failure.Permanent(NoAirflow, "Airflow connection %q %s", id, absent()))
	case Operator() != "" && all != "":
		r.Fault(failure.Permanent(BadField, "Airflow connection %q has no %s", id, all).About(id).Want(all))
	default:
		r.NeedHost(config)
		r.NeedLogin(config, APIAccount, names.AirflowPrefix)
	}
}

// lacking returns the fields of a login that are missing.
func lacking(config airflowclient.Config) (fields []string) {
	if config.Login == "" && config.Token.Empty() {
		fields = append(fields, "login")
	}
	if config.Password.Empty() && config.Token.Empty() {
		fields = append(fields, "password")
	}
	return fields
}

// NeedHost reports that Airflow's address is missing.
func (r *Reader) NeedHost(config airflowclient.Config) {
	if config.BaseURL == "" {
		r.Missing("Airflow host", r.AirflowURL.Names(), "")
	}
}

// NeedLogin reports what is missing of an account's login; prefix starts its variables.
func (r *Reader) NeedLogin(config airflowclient.Config, account, prefix string) {
	for _, field := range lacking(config) {
		r.Missing(field+" of the "+account, prefix+strings.ToUpper(field), "")
	}
}

// Client returns a client, or nil where the base URL is missing.
func (r *Reader) Client(config airflowclient.Config, roots Certificates) *airflowclient.Client {
	if config.BaseURL == "" {
		return nil
	}
	r.unencrypted(config.BaseURL, "https as schema of connection "+names.AirflowConnection)
	config.TLS = transport.TLS(roots.All)
	client, err := airflowclient.New(config)
	r.Fault(err)
	return client
}

// AWS returns what reads AWS's own settings, and checks the URL of each call.
func (r *Reader) AWS(roots Certificates) ecr.Config {
	const want = "https in AWS_ENDPOINT_URL… or endpoint_url of the AWS profile"
	return ecr.DefaultConfig(roots.All, roots.Extra, r.encrypted(want), r.Log)
}

// unencrypted checks an address as encrypted does.
func (r *Reader) unencrypted(address, want string) {
	if to, err := url.Parse(address); err == nil {
		r.Fault(r.encrypted(want)(to))
	}
}

// encrypted returns what warns, once for each host, that what is sent to another host over http, or to Docker over tcp,
// can be read on its way, or rejects that. want is what to use instead.
func (r *Reader) encrypted(want string) func(*url.URL) error {
	required := r.yes(requireHTTPS, names.RequireHTTPSEnv)
	var warned sync.Map
	return func(to *url.URL) error {
		host := to.Hostname()
		if to.Scheme != "http" && to.Scheme != "tcp" || host == "localhost" || net.ParseIP(host).IsLoopback() {
			return nil
		}
		const form = "http to %s sends secrets unencrypted"
		if required {
			return failure.Permanent(Unencrypted, "https is required: "+form, to.Host).Want(want)
		}
		fault := failure.Permanent(Unencrypted, form, to.Host).Want(want)
		if _, again := warned.LoadOrStore(to.Host, true); !again {
			r.Log.Warn(fault.Error(), steps.FailureKey, fault) // #nosec G706 -- the log keeps each message on its line
		}
		return nil
	}
}
