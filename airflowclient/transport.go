package airflowclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"mime"
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
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        config,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// exchange returns a function that sends a request up to three times, a login up to six, with bearer where that is not
// empty, and decodes the last answer into out. Every call may be repeated: reading, logging in and writing the same
// password twice do no harm.
func (c *Client) exchange(ctx context.Context, bearer string, out any) func(*http.Request, error) error {
	return func(req *http.Request, err error) error {
		if err != nil {
			return c.unanswered(ctx, err)
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("User-Agent", "ecr-refresh")
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		for attempt := 1; ; attempt++ {
			c.config.Log.DebugContext(ctx, "calling airflow",
				"method", req.Method, "path", req.URL.Path, "attempt", attempt)
			a, err := c.send(req.WithContext(ctx))
			switch {
			case mayPass(a, err, attempt):
				err = c.pause(ctx, a.Response, attempt)
			case err == nil:
				return c.decode(a, out)
			}
			if err != nil {
				return err
			}
		}
	}
}

// answer is what Airflow answered, read to its end.
type answer struct {
	*http.Response
	body []byte
}

// send is one attempt. It reads the whole answer, since a connection may break in the middle of one.
func (c *Client) send(req *http.Request) (answer, error) {
	if req.GetBody != nil { // an earlier attempt has read the body
		req.Body, _ = req.GetBody() // in memory
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, c.unanswered(req.Context(), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, c.unanswered(req.Context(), err)
	}
	if len(body) > maxAnswer {
		return answer{}, failf(NotAirflow, 0, "", "airflow's answer is longer than %d MiB", maxAnswer>>20)
	}
	return answer{resp, body}, nil
}

// decode reads a good answer. 200 alone proves nothing: below a wrong base path Airflow answers 200 with its web page.
// The message of encoding/json is dropped, since it may quote the body.
func (c *Client) decode(a answer, out any) error {
	status := a.StatusCode
	switch {
	case status != http.StatusOK && status != http.StatusCreated:
		return c.failed(a)
	case !a.isJSON():
		return failf(NotAirflow, status, "", "airflow answered %d with %s instead of JSON", status, line(a.mediaType()))
	case json.Unmarshal(a.body, out) != nil:
		return failf(NotAirflow, status, "", "airflow answered %d with JSON of another shape than Airflow 3's", status)
	}
	return nil
}

func (a answer) isJSON() bool { return a.mediaType() == "application/json" }

func (a answer) mediaType() string {
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return cmp.Or(kind, "no content type")
}

// mayPass reports whether another attempt may help: against a network that failed, 429 and most of 5xx. A login that
// is answered 500 has more attempts: FAB 3.5, the auth manager of Airflow 3.1.8, builds all of itself anew for each
// login, answers 500 to everybody until that is done, and two logins at once can undo one another.
func mayPass(a answer, err error, attempt int) bool {
	var failed *Error
	if errors.As(err, &failed) {
		return !failed.Permanent() && attempt < attempts
	}
	switch s := a.StatusCode; {
	case s == http.StatusInternalServerError && strings.HasSuffix(a.Request.URL.Path, "/auth/token"):
		return attempt < loginAttempts
	case s == http.StatusTooManyRequests || s >= 500 && s != http.StatusNotImplemented:
		return attempt < attempts
	}
	return false
}

// pause waits, as long as Airflow asks for by the header Retry-After of a 429 or 503. It returns an error at once when
// that is longer than the caller has time for.
func (c *Client) pause(ctx context.Context, resp *http.Response, attempt int) error {
	left := longestWait
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	asked := retryablehttp.DefaultBackoff(0, 0, 0, resp) // 0 without the header
	if asked > max(0, left) {
		return failf(Unavailable, resp.StatusCode, "",
			"airflow answered %d and asks to wait %.0f s, longer than the time left", resp.StatusCode, asked.Seconds())
	}
	select {
	case <-time.After(retryablehttp.RateLimitLinearJitterBackoff(c.shortest, c.longest, attempt-1, resp)):
		return nil
	case <-ctx.Done():
		return c.unanswered(ctx, ctx.Err())
	}
}
