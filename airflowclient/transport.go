package airflowclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	attempts       = 3
	loginAttempts  = 6 // of a login that is answered 500
	attemptTimeout = 10 * time.Second
	longestWait    = time.Minute // that Airflow may ask for when the caller has set no deadline
	maxAnswer      = 8 << 20     // bytes: a page of 100 connections with their extras
)

// newHTTP returns a client that follows no redirect: one would take the password to another host.
func newHTTP(config *tls.Config) *http.Client {
	return &http.Client{
		Timeout:       attemptTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: bounded{&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        config,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
			IdleConnTimeout:        30 * time.Second,
			MaxIdleConnsPerHost:    atOnce, // or all but two are closed after each call
		}},
	}
}

// bounded reads each response into memory, up to maxAnswer: inside the retries, since a connection may break in the
// middle of a response.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, failf(NotAirflow, 0, "", "airflow's answer is longer than %d MiB", maxAnswer>>20)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// send sends req up to three times, a login up to six, and returns the last answer, its body in memory. Every call may
// be repeated: reading, logging in and writing the same password twice do no harm.
func (c *Client) send(req *http.Request, bearer string) (*http.Response, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "ecr-refresh")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if req.GetBody != nil { // an earlier send has read the body
		req.Body, _ = req.GetBody() // in memory
	}
	r, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, err
	}
	return c.retrying().Do(r)
}

// retrying returns a client for one call.
func (c *Client) retrying() *retryablehttp.Client {
	attempt := 0
	return &retryablehttp.Client{
		HTTPClient:   c.http,
		RetryMax:     loginAttempts - 1, // of any call; CheckRetry ends most before
		RetryWaitMin: c.shortest,
		RetryWaitMax: c.longest,
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			again, err := c.checkRetry(ctx, resp, err)
			return again && attempt < mostAttempts(resp), err
		},
		Backoff:      retryablehttp.RateLimitLinearJitterBackoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		RequestLogHook: func(_ retryablehttp.Logger, req *http.Request, before int) {
			attempt = before + 1
			c.config.Log.DebugContext(req.Context(), "calling airflow",
				"method", req.Method, "path", req.URL.Path, "attempt", attempt)
		},
	}
}

// checkRetry reports whether another attempt may help: against a network that failed, 429 and most of 5xx.
func (c *Client) checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if err != nil && c.unanswered(ctx, err).Permanent() {
		return false, nil
	}
	again, err := retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	if again && resp != nil {
		err = waitFits(ctx, resp)
	}
	return again && err == nil, err
}

// mostAttempts of one call. For each login FAB 3.5, the auth manager that Airflow 3.1.8 comes with, builds all of
// itself anew; until that is done, it answers 500 to every call of everybody, and two logins at once can undo one
// another.
func mostAttempts(resp *http.Response) int {
	if resp != nil && resp.StatusCode == http.StatusInternalServerError &&
		resp.Request.Method == http.MethodPost && strings.HasSuffix(resp.Request.URL.Path, "/auth/token") {
		return loginAttempts
	}
	return attempts
}

// waitFits returns an error when Airflow asks for a longer wait than the caller has time for, by the header Retry-After
// of a 429 or 503.
func waitFits(ctx context.Context, resp *http.Response) error {
	left := longestWait
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	wait := retryablehttp.DefaultBackoff(0, 0, 0, resp) // 0 without the header
	if wait >= 0 && wait <= left {
		return nil
	}
	return failf(Unavailable, resp.StatusCode, "",
		"airflow answered %d and asks to wait %.0f s, longer than the time left", resp.StatusCode, wait.Seconds())
}
