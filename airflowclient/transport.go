package airflowclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/untrusted"
)

const (
	attempts      = 3
	loginAttempts = 6       // of a login that is answered 500
	maxAnswer     = 8 << 20 // bytes: a page of 100 connections with their extras
	maxFailure    = 1 << 20 // bytes of an answer whose message is looked for: one of a bulk request repeats it
)

// through names the proxy that an answer over http came through, which may be the proxy's own, or "airflow".
func (a answer) through() string {
	if proxy, _ := http.ProxyFromEnvironment(a.Request); proxy != nil && a.Request.URL.Scheme == "http" && !a.isJSON() {
		return "the proxy " + proxy.Host + ", or airflow behind it,"
	}
	return "airflow"
}

// exchange returns a function that sends a request, with bearer where that is not empty, until shouldRetry is content,
// and decodes the last answer into out. Reading, logging in and writing the same password twice do no harm.
func (c *Client) exchange(ctx context.Context, bearer string, out any) func(*http.Request, error) error {
	return func(req *http.Request, err error) error {
		if err != nil {
			return c.unanswered(err)
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("User-Agent", "ecr-refresh")
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		if req.GetBody != nil { // an earlier exchange has read the body
			req.Body, _ = req.GetBody() // in memory
		}
		var a answer
		again, err := retryablehttp.FromRequest(req.WithContext(ctx))
		if err == nil {
			again.SetResponseHandler(a.read) // before CheckRetry: a connection may break in the middle of an answer
			_, err = c.retrying().Do(again)
		}
		if err != nil {
			return c.unanswered(cmp.Or(ctx.Err(), err)) // whatever broke when time was over
		}
		return decode(a, out)
	}
}

// retrying returns a client for one call.
func (c *Client) retrying() *retryablehttp.Client {
	attempt := 0
	return &retryablehttp.Client{
		HTTPClient:   c.http,
		RetryMax:     loginAttempts, // CheckRetry ends every call before
		RetryWaitMin: c.shortest,
		RetryWaitMax: c.longest,
		Backoff:      retryablehttp.RateLimitLinearJitterBackoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		RequestLogHook: func(_ retryablehttp.Logger, req *http.Request, before int) {
			attempt = before + 1
			c.config.Log.DebugContext(req.Context(), "calling airflow",
				"method", req.Method, "path", req.URL.Path, "attempt", attempt)
		},
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			if err != nil {
				return attempt < attempts && !failure.IsPermanent(c.unanswered(err)), nil
			}
			return shouldRetry(ctx, resp, attempt)
		},
	}
}

// shouldRetry reports whether to send again: after 429 and most of 5xx. A login that is answered 500 has more attempts:
// FAB 3.5, the auth manager of Airflow 3.1.8, builds all of itself anew for each login, answers 500 to everybody until
// that is done, and two logins at once can undo one another. A Retry-After beyond the caller's deadline is an error.
func shouldRetry(ctx context.Context, resp *http.Response, attempt int) (bool, error) {
	most := attempts
	if resp.StatusCode == http.StatusInternalServerError && strings.HasSuffix(resp.Request.URL.Path, "/auth/token") {
		most = loginAttempts
	}
	again, err := retryablehttp.DefaultRetryPolicy(ctx, resp, nil)
	asked := retryablehttp.DefaultBackoff(0, 0, 0, resp) // 0 without the header
	deadline, limited := ctx.Deadline()
	if again = again && attempt < most; again && limited && asked > max(0, time.Until(deadline)) {
		const form = "airflow answered %d and asks to wait %.0f s, longer than the time left"
		return false, failure.Transient(Unavailable, form, resp.StatusCode, asked.Seconds())
	}
	return again, err
}

// answer is what Airflow answered, read to its end.
type answer struct {
	*http.Response
	body  []byte
	media untrusted.Text // type
}

func (a *answer) read(resp *http.Response) (err error) {
	defer resp.Body.Close()
	a.Response = resp
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	a.media = untrusted.New(cmp.Or(kind, "no content type"))
	if resp.StatusCode == http.StatusSwitchingProtocols { // what follows is a connection, which ends with no context
		return nil
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	return err
}

// decode reads a good answer. 200 alone proves nothing: below a wrong base path Airflow answers 200 with its web page.
// The message of encoding/json is dropped, since it may quote the body.
func decode(a answer, out any) error {
	status := a.StatusCode
	switch {
	case status == http.StatusNoContent && out == nil:
	case status != http.StatusOK && status != http.StatusCreated:
		return failed(a)
	case len(a.body) > maxAnswer:
		return failure.Permanent(NotAirflow, "airflow's answer is longer than %d MiB", maxAnswer>>20)
	case !a.isJSON():
		return failure.Permanent(NotAirflow, "%s answered %d with %s instead of JSON", a.through(), status, a.media)
	case json.Unmarshal(a.body, out) != nil:
		return failure.Permanent(NotAirflow, "airflow answered %d with JSON of another shape than Airflow 3's", status)
	}
	return nil
}

// list is the beginning of a JSON array: what is asked for, or updated at once, has a page.
type list[T any] []T

// UnmarshalJSON reads a page of any array.
func (l *list[T]) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	start, err := d.Token()
	if start != json.Delim('[') {
		return json.Unmarshal(text, (*[]T)(l)) // null, or an error
	}
	for err == nil && len(*l) < pageSize && d.More() {
		var entry T
		err = d.Decode(&entry)
		*l = append(*l, entry)
	}
	return err
}

func (a answer) isJSON() bool { return a.media.Raw() == "application/json" }
