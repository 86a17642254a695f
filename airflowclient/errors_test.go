package airflowclient

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

)

// quoted gives text as a JSON string.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	input := fmt.Sprintf(`{"type":"missing","loc":["body","actions",0,"update","entities",0,"conn_type"],"msg":"Field required",
		"input":{"password":%s},"ctx":{"p":%s}}`, quoted(newPassword), quoted(apiPassword))
	for _, test := range []struct {
		status    int
		body      string
		permanent bool
		text      string
		hint      string
	}{
		{400, `{"detail":"Invalid value"}`, true, "airflow answered 400: Invalid value", "older or newer"},
		{404, `{"error":"API route not found"}`, true, "airflow answered 404: API route not found", hintBaseURL},
		{405, `{"detail":"Method Not Allowed"}`, true, "airflow answered 405: Method Not Allowed", hintBaseURL},
		{407, `{}`, true, "airflow answered 407 Proxy Authentication Required", "HTTP_PROXY"},
		{409, `{"detail":{"reason":"Unique constraint violation","statement":"hidden","message":"look for ID x"}}`, false,
			"airflow answered 409: Unique constraint violation: look for ID x", hintTwice},
		{422, `{"detail":[` + input + "," + input + `]}`, true,
			"airflow answered 422: body.actions.0.update.entities.0.conn_type: Field required", "older or newer"},
		{422, `{"detail":` + quoted("input_value={'password': '"+newPassword+"'}") + `}`, true,
			"airflow answered 422: the request did not pass validation", "older or newer"},
		{422, `{"detail":[{"loc":["body"],"msg":` + quoted("got "+newPassword+" and "+apiPassword) + `}]}`, true,
			"airflow answered 422: body: got [redacted] and [redacted]", "older or newer"},
		{500, `{"detail":[7]}`, false, "airflow answered 500 Internal Server Error", hintServer},
		{507, `"` + newPassword + `"`, false, "airflow answered 507 Insufficient Storage", hintServer},
		{599, `{"detail":null,"error":{}}`, false, "airflow answered 599", hintServer},
	} {
		a := newAirflow(t, routes{bulk: says(test.status, test.body)})
		err := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates("a"))["a"]
		wantError(t, err, test.permanent, test.text, test.hint)
		if strings.Count(err.Error(), "conn_type") > 1 {
			t.Errorf("said twice: %v", err)
		}
		want := 1
		if test.status == 500 {
			want = attempts
		}
		if n := len(a.asked(bulk)); n != want {
			t.Errorf("%d: %d attempts, want %d", test.status, n, want)
		}
	}
}

func TestPlainTextIsNotRepeated(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{bulk: func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Internal Server Error: "+newPassword, http.StatusInternalServerError)
	}})
	err := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates("a"))["a"]
	wantError(t, err, false, "airflow answered 500 Internal Server Error", hintServer)
	if strings.Contains(err.Error(), "Error:") {
		t.Errorf("the body stands in %v", err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newAirflow(t, routes{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		redirect := func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, elsewhere.URL+"/login?next=s3cret", status)
		}
		for _, r := range []routes{{login: redirect}, {bulk: redirect}} {
			a := newAirflow(t, r)
			err := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates("a"))["a"]
			wantError(t, err, true, fmt.Sprintf("airflow answered %d, a redirect to %s: no redirect is followed", status, elsewhere.URL),
				"final address")
		}
	}
	if len(elsewhere.all()) != 0 {
		t.Errorf("reached the other host: %v", elsewhere.all())
	}
	a := newAirflow(t, routes{bulk: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }})
	err := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates("a"))["a"]
	wantError(t, err, true, "airflow answered 304, a redirect to nowhere", "final address")
}

func TestScrub(t *testing.T) {
	t.Parallel()
	c := &Client{}
	c.scrubber.add(hide(apiPassword))
	c.scrubber.add(hide(newPassword))
	c.scrubber.add(hide("p%/1"))
	for in, want := range map[string]string{
		"plain words":                                          "plain words",
		"got " + newPassword + "!":                             "got [redacted]!",
		"cut " + newPassword[5:20] + "...":                     "cut [redacted]...",
		"short p%/1 too":                                       "short [redacted] too",
		"short p%25%2F1 too":                                   "short [redacted] too",
		"json " + quoted(apiPassword) + " x":                   `json "[redacted]" x`,
		"url " + url.QueryEscape(apiPassword) + "&":            "url [redacted]&",
		"esc " + apiPassword[:9] + "\x1b[0m" + apiPassword[9:]: "esc [redacted][redacted]",
		"a\x1b[31mred\x1b[0m b\r\nc\td\x00e\x07":               "ared b c d e",
		"\x1b]0;title\x07x\u202ey\u200bz":                      "xyz",
		"::group::fold ::endgroup:: ::::group:::: a::b":        "group fold endgroup group a::b",
		"at http://user:pw@host/x":                             "at http://host/x",
		"bad \xff utf8":                                        "bad ? utf8",
		strings.Repeat("é", 300):                               strings.Repeat("é", 200) + "…",
	} {
		if got := c.scrubber.scrub(in); got != want {
			t.Errorf("scrub(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestScrubBase64(t *testing.T) {
	t.Parallel()
	c := &Client{}
	c.scrubber.add(hide(newPassword))
	for _, before := range []string{"", "u", "AWS:", "refresher:", "xy:"} {
		for _, after := range []string{"", "\n", "}}"} {
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
				text := encoding.EncodeToString([]byte(before + newPassword + after))
				// What is left are the bytes around it, and up to three characters that hold bits of both.
				if got := strings.Replace(c.scrubber.scrub(text), "[redacted]", "", 1); len(got) > len(text)-len(newPassword) {
					t.Errorf("%q stays of %q", got, text)
				}
			}
		}
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("detail ", newPassword, " behind")
	f.Add("::group::", "\x1b[31mabcdefgh", "\x1b[0m")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		c := &Client{}
		c.scrubber.add(hide(secret))
		got := c.scrubber.scrub(before + secret + after)
		if len(secret) >= 8 && !strings.Contains("[redacted]", secret) && strings.Contains(got, secret) {
			t.Errorf("%q holds %q", got, secret)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q holds a control character", got)
		}
	})
}

// FuzzDetail: whatever an Airflow says of what it was sent, one short line without a secret comes of it. In body, PASSWORD
// stands for one.
func FuzzDetail(f *testing.F) {
	f.Add(400, `{"detail":"got PASSWORD"}`)
	f.Add(404, `{"error":"API route not found"}`)
	f.Add(409, `{"detail":{"reason":"Unique constraint violation","message":"PASSWORD"}}`)
	f.Add(422, `{"detail":[{"loc":["body",0,"PASSWORD"],"msg":"got PASSWORD","input":"PASSWORD"}]}`)
	asked, _ := url.Parse("http://airflow/api/v2/connections")
	f.Fuzz(func(t *testing.T, status int, body string) {
		c := &Client{}
		c.scrubber.add(hide(newPassword))
		a := answer{method: http.MethodPatch, asked: asked, status: status, header: http.Header{"Content-Type": {"application/json"}},
			body: []byte(strings.ReplaceAll(body, "PASSWORD", newPassword))}
		err := c.refused(a)
		if said := err.Error(); strings.Contains(said, newPassword) || utf8.RuneCountInString(said) > 260 || strings.ContainsFunc(said, unicode.IsControl) {
			t.Errorf("%q comes of %q", said, body)
		}
		if failure.Hint(err) == "" {
			t.Errorf("no hint for %d, %q", status, body)
		}
	})
}
