package input

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

// Help on the inputs of Airflow's API, for descriptions of commands.
const (
	AirflowHelp = `Connection airflow-api comes from the environment: ECR_REFRESH_AIRFLOW_{CONN_TYPE,SCHEMA,HOST,PORT,
LOGIN,PASSWORD}, or AIRFLOW_CONN_AIRFLOW_API (a URI, or JSON). ECR_REFRESH_AIRFLOW_TOKEN, a bearer token of
that API, replaces login and password.`
	AdminHelp = "ECR_REFRESH_ADMIN_{LOGIN,PASSWORD} or ECR_REFRESH_ADMIN_TOKEN is an account for this command alone."
)

// AirflowAccount is what the hint of a rejected login calls the account of connection airflow-api.
const AirflowAccount = "login and password of connection " + names.AirflowConnection

// Airflow returns a client that logs in with connection airflow-api, or nil where too much of it is missing.
func (r *Reader) Airflow(roots Certificates) *airflowclient.Client {
	config, err := r.airflowConfig()
	switch {
	case err != nil:
		r.Fault(err)
	case config.BaseURL == "":
		r.NeedLogin(config, names.AirflowPrefix, "host")
	default:
		r.NeedLogin(config, names.AirflowPrefix)
	}
	return r.Client(config, roots)
}

// AdminAirflow returns a client of the same Airflow that logs in as the admin, where one is given.
func (r *Reader) AdminAirflow(roots Certificates) *airflowclient.Client {
	if !AdminGiven() {
		return r.Airflow(roots)
	}
	return r.Client(r.AdminConfig(r.AirflowConfig().BaseURL), roots)
}

// AdminGiven reports whether the environment has the account of a person who may do more than airflow-api's.
func AdminGiven() bool {
	_, found := connectionIn(names.AdminPrefix)
	return found || !secretIn(names.AdminPrefix+"TOKEN").Empty()
}

// AirflowConfig returns what the environment has of connection airflow-api. Its URL must be there.
func (r *Reader) AirflowConfig() airflowclient.Config {
	config, err := r.airflowConfig()
	r.Fault(err)
	if err == nil && config.BaseURL == "" {
		r.Missing("Airflow host", r.AirflowURL.Names())
	}
	return config
}

// airflowConfig returns what the environment has of connection airflow-api. --airflow-url replaces its URL. A URL that
// is not good is not returned: it may have a password.
func (r *Reader) airflowConfig() (airflowclient.Config, error) {
	conn, found := connectionIn(names.AirflowPrefix)
	var err error
	if !found {
		conn, _, err = connectionOf(names.AirflowConnection)
	}
	base := r.Optional(r.AirflowURL)
	if err == nil && base == "" && conn.Host != "" {
		base, err = conn.BaseURL()
	}
	if err != nil {
		err = fmt.Errorf("connection %q: %w", names.AirflowConnection, err)
	} else if base != "" {
		_, err = airflowclient.New(airflowclient.Config{BaseURL: base})
	}
	if err != nil {
		base = ""
	}
	return r.config(base, conn, names.AirflowPrefix, AirflowAccount), err
}

// AdminConfig returns what the environment has of the admin's account. On a terminal it asks for the rest.
func (r *Reader) AdminConfig(base string) airflowclient.Config {
	conn, _ := connectionIn(names.AdminPrefix)
	account := names.AdminPrefix + "LOGIN and " + names.AdminPrefix + "PASSWORD"
	config := r.config(base, conn, names.AdminPrefix, account)
	r.AskLogin("Airflow admin login", &config)
	r.NeedLogin(config, names.AdminPrefix)
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

// AskLogin asks for what is missing of a login, where stdin is a terminal. It does not ask when another input is
// missing.
func (r *Reader) AskLogin(who string, config *airflowclient.Config) {
	file, ok := r.Stdin.(*os.File)
	if !ok || !console.IsTerminal(file) || r.Faulty() || !config.Token.Empty() {
		return
	}
	prompt := console.Prompt{In: file, Out: r.App.ErrWriter}
	if config.Login == "" {
		config.Login = prompt.Line(who + ": ")
	}
	if config.Login != "" && config.Password.Empty() {
		var err error
		config.Password, err = prompt.Password(r.Context.Context, fmt.Sprintf("password of %q: ", config.Login))
		r.Fault(err)
	}
}

// NeedLogin reports what is missing of connection airflow-api, or of the admin's account; prefix starts its variables.
// missing begins with what the caller found missing.
func (r *Reader) NeedLogin(config airflowclient.Config, prefix string, missing ...string) {
	if config.Token.Empty() && config.Login == "" {
		missing = append(missing, "login")
	}
	if config.Token.Empty() && config.Password.Empty() {
		missing = append(missing, "password")
	}
	_, set := connectionIn(prefix)
	who := fmt.Sprintf("Airflow connection %q", names.AirflowConnection)
	if prefix == names.AdminPrefix {
		who, set = "Airflow's admin", true
	}
	switch fields := strings.Join(missing, ", "); {
	case fields == "":
	case !set && OverriddenBy(names.AirflowConnection) == "":
		r.Fault(failure.Permanent(NoAirflow, "%s %s", who, absent()))
	default:
		variables := strings.ToUpper(prefix + strings.Join(missing, ", "+prefix))
		variables = strings.Replace(variables, prefix+"HOST", r.AirflowURL.Names(), 1)
		r.Fault(failure.Permanent(NoField, "%s has no %s", who, fields).About(variables).Want(fields))
	}
}

// Client returns a client, or nil where the base URL is missing.
func (r *Reader) Client(config airflowclient.Config, roots Certificates) *airflowclient.Client {
	if config.BaseURL == "" {
		return nil
	}
	if u, err := url.Parse(config.BaseURL); err == nil && u.Scheme == "https" {
		config.TLS = transport.TLS(roots.All)
	} else if err == nil {
		r.unencrypted(PlainAirflow, u, "Airflow's login and the token", "")
	}
	client, err := airflowclient.New(config)
	r.Fault(err)
	return client
}

// LogOut revokes the login of client, which may be nil. It is best effort, and works where ctx has ended: the JWT
// expires in a day anyway.
func LogOut(ctx context.Context, client *airflowclient.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if client != nil {
		_ = client.Logout(ctx)
	}
}

// AWSEndpoints checks the addresses that AWS's SDK takes from the environment.
func (r *Reader) AWSEndpoints() {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC"} {
		if u, err := url.Parse(os.Getenv(name)); err == nil && u.Scheme == "http" {
			r.unencrypted(PlainECR, u, "the token", name)
		}
	}
}

// absent says that a connection is missing: in Airflow, or in a shell's environment.
func absent() string {
	if InTask() {
		return "does not exist"
	}
	return "is not set"
}

// unencrypted warns that what is sent to another host can be read on its way, or rejects that. object becomes a fact.
func (r *Reader) unencrypted(kind failure.Kind, to *url.URL, what, object string) {
	if host := to.Hostname(); host == "localhost" || net.ParseIP(host).IsLoopback() {
		return
	}
	err := failure.Permanent(kind, "http to %s sends %s unencrypted", to.Host, what).About(object)
	if r.yes(requireHTTPS, names.RequireHTTPSEnv) {
		r.Fault(fmt.Errorf("https is required: %w", err))
		return
	}
	r.Log.Warn(err.Error(), steps.FailureKey, err) // #nosec G706 -- the log keeps each message on its line
}
