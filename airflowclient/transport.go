package airflowclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"ecr-refresh/steps/failure"
)

const (
	attempts       = 3
	loginAttempts  = 6                // of a login that is answered 500
	attemptTimeout = 10 * time.Second // unless Config says otherwise
	longestWait    = time.Minute      // that Airflow may ask for when the caller has set no deadline
)

// doer sends the requests of the generated client: with retries, without redirects, each answer read up to a limit.
type doer struct {
	client            *http.Client
	log               *slog.Logger
	shortest, longest time.Duration // between two attempts
}

func newDoer(cfg Config) *doer {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	timeout := cfg.AttemptTimeout
	if timeout <= 0 {
		timeout = attemptTimeout
	}
	client := &http.Client{Transport: newTransport(cfg), Timeout: timeout, CheckRedirect: noRedirect}
	return &doer{client, log, 500 * time.Millisecond, 5 * time.Second}
}

// retrying makes what sends one request, again and again.
func (d *doer) retrying() *retryablehttp.Client {
	attempt := 0
	return &retryablehttp.Client{
		HTTPClient:   d.client,
		RetryMax:     loginAttempts - 1, // of any call; CheckRetry ends most before
		RetryWaitMin: d.shortest,
		RetryWaitMax: d.longest,
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			again, err := checkRetry(ctx, resp, err)
			return again && attempt < mostAttempts(resp), err
		},
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		RequestLogHook: func(_ retryablehttp.Logger, req *http.Request, before int) {
			attempt = before + 1
			d.log.DebugContext(req.Context(), "asking airflow", "method", req.Method, "path", req.URL.Path, "attempt", attempt)
		},
		ResponseLogHook: func(_ retryablehttp.Logger, resp *http.Response) {
			d.log.DebugContext(resp.Request.Context(), "airflow answered", "path", resp.Request.URL.Path, "status", resp.StatusCode)
		},
	}
}

func newTransport(cfg Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        tlsConfig(cfg),
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    atOnce, // or all but two are closed after each call
	}
}

func tlsConfig(cfg Config) *tls.Config {
	if cfg.TLS == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return cfg.TLS
}

// noRedirect stands on the client inside the retries: a redirect that is followed carries the password to another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Do sends req up to three times, a login up to six, and gives the last answer, its body in memory.
func (d *doer) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "ecr-refresh")
	r, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, err
	}
	r.SetResponseHandler(slurp) // inside the retries: a connection may break in the middle of an answer
	resp, err := d.retrying().Do(r)
	if err == nil {
		err = slurp(resp) // again: the handler is left out for the last failure
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// slurp reads an answer into memory, up to its limit, and closes the connection's side of it.
func slurp(resp *http.Response) error {
	defer resp.Body.Close()
	limit := limitOf(resp.Request)
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return err
	}
	if int64(len(body)) > limit {
		return &longError{limit}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// limitOf gives how long an answer may be: lists of connections, with their extras, and of DAG runs and import errors.
func limitOf(req *http.Request) int64 {
	switch path.Base(req.URL.Path) {
	case "connections", "dagRuns", "importErrors", "taskInstances":
		return 8 << 20
	}
	return 1 << 20
}

// checkRetry tells whether another attempt may help. Every call may be repeated: reading, logging in and writing the same
// password twice do no harm.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return mayPass(err), nil
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return waitFits(ctx, resp)
	case http.StatusInternalServerError:
		return true, nil
	}
	return false, nil
}

// mostAttempts of one call. For each login FAB 3.5, the auth manager that Airflow 3.1.8 comes with, builds all of itself
// anew; until that is done, it answers 500 to every call of everybody, and two logins at once can undo one another.
func mostAttempts(resp *http.Response) int {
	if resp != nil && resp.StatusCode == http.StatusInternalServerError && isLogin(resp.Request) {
		return loginAttempts
	}
	return attempts
}

func isLogin(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/auth/token")
}

// mayPass tells a network that failed from a peer that will fail again.
func mayPass(err error) bool {
	if errors.As(err, new(*longError)) || isScheme(err) || failure.IsAlert(err) {
		return false
	}
	retry, _ := retryablehttp.DefaultRetryPolicy(context.Background(), nil, err) // it knows certificates and bad requests
	return retry
}

// waitFits gives up at once when Airflow asks for a longer wait than the caller has time for.
func waitFits(ctx context.Context, resp *http.Response) (bool, error) {
	left := longestWait
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	if wait := retryAfter(resp); wait < 0 || wait > left {
		return false, &waitError{resp.StatusCode, wait}
	}
	return true, nil
}

// retryAfter reads the header Retry-After of a 429 or 503, in seconds or as a date, and gives 0 when there is none.
func retryAfter(resp *http.Response) time.Duration {
	return retryablehttp.DefaultBackoff(0, 0, 0, resp)
}

// backoff waits as long as Airflow asks, else twice as long as before, and a little more at random, so that workers that
// failed together do not come back together.
func backoff(shortest, longest time.Duration, attempt int, resp *http.Response) time.Duration {
	wait := retryablehttp.DefaultBackoff(shortest, longest, attempt, resp)
	return wait + rand.N(min(wait, shortest)+1) // #nosec G404 -- no secret
}

// waitError says that Airflow asks for a longer wait than there is time.
type waitError struct {
	status int
	wait   time.Duration
}

func (e *waitError) Error() string {
	return fmt.Sprintf("airflow answered %d and asks to wait %.0f s, longer than the time left", e.status, e.wait.Seconds())
}

// longError says that an answer is longer than any that Airflow gives.
type longError struct{ limit int64 }

func (e *longError) Error() string {
	return fmt.Sprintf("airflow's answer is longer than %d MiB", e.limit>>20)
}
