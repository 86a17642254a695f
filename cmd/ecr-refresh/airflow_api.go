package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

const (
	airflowConnectionID = "airflow-api"
	airflowPrefix       = "ECR_REFRESH_AIRFLOW_"
	airflowTokenEnv     = airflowPrefix + "TOKEN"
	airflowAccount      = "login and password of connection " + airflowConnectionID // as the hint of a rejected login names it
	airflowEnvHelp      = `The connection airflow-api comes from the environment: ECR_REFRESH_AIRFLOW_{CONN_TYPE,SCHEMA,HOST,PORT,
LOGIN,PASSWORD}, or AIRFLOW_CONN_AIRFLOW_API (a URI, or JSON). ECR_REFRESH_AIRFLOW_TOKEN, a bearer token of
that API, takes the place of login and password.`
)

// adminPrefix names the account of a person who may do more than airflow-api's: read runs, make pools.
const (
	adminPrefix  = "ECR_REFRESH_ADMIN_"
	adminEnvHelp = "ECR_REFRESH_ADMIN_{LOGIN,PASSWORD} or ECR_REFRESH_ADMIN_TOKEN names another account for this command."
)

// airflow reads the airflow-api connection and makes a client for it. What is missing of it is named.
func (c *call) airflow(roots certificates) *airflowclient.Client {
	conn, how := c.airflowConnection()
	config := airflowclient.Config{
		BaseURL: c.airflowBase(conn, how), Login: conn.login, Password: conn.password, Token: secretFromEnv(airflowTokenEnv),
		Account: airflowTokenEnv, Log: c.log,
	}
	if config.Token.Empty() {
		config.Account = airflowAccount
		c.airflowLogin(config, how)
	}
	return c.airflowClient(config, roots)
}

// reader is a client for airflow-api's Airflow, as the admin where one is named.
func (c *call) reader(roots certificates) *airflowclient.Client {
	if !adminGiven() {
		return c.airflow(roots)
	}
	conn, how := c.airflowConnection()
	return c.airflowClient(c.admin(c.airflowBase(conn, how)), roots)
}

// logOut is best effort, and goes on where ctx has ended: the JWT dies by itself in a day.
func logOut(ctx context.Context, client *airflowclient.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logOutLimit)
	defer cancel()
	_ = client.Logout(ctx)
}

const logOutLimit = 2 * time.Second

func adminGiven() bool {
	_, login := connectionFields(adminPrefix)
	return login || !secretFromEnv(adminPrefix+"TOKEN").Empty()
}

// admin reads the admin's account.
func (c *call) admin(base string) airflowclient.Config {
	conn, _ := connectionFields(adminPrefix)
	config := airflowclient.Config{
		BaseURL: base, Login: conn.login, Password: conn.password, Token: secretFromEnv(adminPrefix + "TOKEN"),
		Account: adminPrefix + "TOKEN", Log: c.log,
	}
	c.askAccount("Airflow admin login", &config)
	if config.Token.Empty() {
		config.Account = adminPrefix + "LOGIN and " + adminPrefix + "PASSWORD"
		c.airflowLogin(config, func(field string) string { return adminPrefix + field })
	}
	return config
}

func (c *call) airflowClient(config airflowclient.Config, roots certificates) *airflowclient.Client {
	if config.BaseURL == "" {
		return nil
	}
	if u, err := url.Parse(config.BaseURL); err == nil && u.Scheme == "https" {
		config.TLS = transport.TLS(roots.all)
	} else if err == nil && !isLoopback(u.Hostname()) {
		c.inClear(u.Host, "Airflow's login and the token", "set the schema of connection "+airflowConnectionID+" to https")
	}
	client, err := airflowclient.New(config)
	c.fault(err)
	return client
}

// inClear tells what can be read on its way to a host, or refuses to send it. instead is what to do.
func (c *call) inClear(host, what, instead string) {
	if c.yes("require-https", requireHTTPSEnv) {
		c.fault(failure.Permanent(failure.Kind(instead), "http to %s is refused: --require-https", host))
		return
	}
	c.log.Warn("http to " + host + ": who sees that network can read " + what + "; " + instead) // #nosec G706 -- the log keeps each message on its line
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// airflowConnection gives the connection, and how a person gives one of its fields.
func (c *call) airflowConnection() (conn connection, how func(field string) string) {
	conn, found := connectionFields(airflowPrefix)
	if !found {
		// "-" cannot stand in a shell variable's name, so people write the connection's id with "_".
		var err error
		conn, found, err = connectionFromEnv(strings.ReplaceAll(airflowConnectionID, "-", "_"))
		c.fault(err)
	}
	return conn, func(field string) string {
		if found {
			return airflowPrefix + field
		}
		return airflowPrefix + field + " or AIRFLOW_CONN_AIRFLOW_API"
	}
}

func (c *call) airflowBase(conn connection, how func(string) string) string {
	if base := c.optional(c.airflowURL); base != "" {
		return base
	}
	if conn.host == "" {
		c.missing("Airflow host", c.airflowURL.names()+" or "+how("HOST"))
		return ""
	}
	base, err := conn.baseURL()
	if err != nil {
		c.fault(fmt.Errorf("connection %s: %w", airflowConnectionID, err))
	}
	return base
}

func (c *call) airflowLogin(config airflowclient.Config, how func(string) string) {
	if config.Login == "" {
		c.missing("Airflow login", how("LOGIN"))
	}
	if config.Password.Empty() {
		c.missing("Airflow password", how("PASSWORD"))
	}
}
