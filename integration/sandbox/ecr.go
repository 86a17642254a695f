package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	getAuthorizationToken = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
	getPublicToken        = "SpencerFrontendService.GetAuthorizationToken"
	amzDate               = "20060102T150405Z"
	maxSkew               = 15 * time.Minute
	tokenLife             = 12 * time.Hour
)

// Token is an authorization token that the stand-in issued.
type Token struct {
	Username  string
	Password  string
	Region    string // the only one whose registries take it
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// ECR stands in for the API of Amazon ECR in every region: GetAuthorizationToken by awsJson 1.1, signed by SigV4.
type ECR struct {
	Faults
	account string
	now     func() time.Time

	state          sync.Mutex
	credentials    aws.Credentials
	sessionExpired bool
	denied         bool
	noBearer       bool
	throttled      int
	life           time.Duration
	username       string
	password       string
	issued         map[string]Token           // by password
	sessions       map[string]aws.Credentials // of assumed roles, by access key
	last           Token
}

func newECR(opts Options) *ECR {
	return &ECR{
		account: opts.Account, now: opts.Now, life: tokenLife, username: "AWS", issued: map[string]Token{},
		sessions: map[string]aws.Credentials{},
		credentials: aws.Credentials{
			AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: rand.Text() + rand.Text()[:14],
		},
	}
}

// Credentials returns the one identity that may call.
func (e *ECR) Credentials() aws.Credentials {
	return locked(&e.state, func() aws.Credentials { return e.credentials })
}

// SetCredentials replaces the identity that may call.
func (e *ECR) SetCredentials(c aws.Credentials) { e.set(func() { e.credentials = c }) }

// Deny makes the identity lack the right to ecr:GetAuthorizationToken.
func (e *ECR) Deny(denied bool) { e.set(func() { e.denied = denied }) }

// DenyBearerToken makes the identity lack the right to sts:GetServiceBearerToken, which ECR Public wants too.
func (e *ECR) DenyBearerToken(denied bool) { e.set(func() { e.noBearer = denied }) }

// ExpireSession expires the identity's session.
func (e *ECR) ExpireSession(expired bool) { e.set(func() { e.sessionExpired = expired }) }

// Throttle rejects the next n calls for their rate.
func (e *ECR) Throttle(n int) { e.set(func() { e.throttled = n }) }

// SetLife sets how long tokens are valid from now on: 12 hours at first. A negative one issues tokens that are expired.
func (e *ECR) SetLife(life time.Duration) { e.set(func() { e.life = life }) }

// SetUsername sets the user of the tokens issued from now on: "AWS" at first.
func (e *ECR) SetUsername(name string) { e.set(func() { e.username = name }) }

// SetPassword sets the password of the tokens issued from now on. "" goes back to a new one each time.
func (e *ECR) SetPassword(password string) { e.set(func() { e.password = password }) }

// ExpireTokens expires every token issued so far.
func (e *ECR) ExpireTokens() {
	e.set(func() {
		for password, token := range e.issued {
			token.ExpiresAt = e.now().Add(-time.Second)
			e.issued[password] = token
		}
	})
}

// LastToken returns the newest token, or the zero Token.
func (e *ECR) LastToken() Token { return locked(&e.state, func() Token { return e.last }) }

// Passwords returns those of all tokens that were issued or accepted.
func (e *ECR) Passwords() []string {
	return locked(&e.state, func() []string { return slices.Collect(maps.Keys(e.issued)) })
}

func (e *ECR) set(set func()) { change(&e.state, set) }

func (e *ECR) lookup(password string) (Token, bool) {
	e.state.Lock()
	defer e.state.Unlock()
	token, found := e.issued[password]
	return token, found
}

// Accept makes a token good that another sandbox has issued, as the newest one.
func (e *ECR) Accept(token Token) {
	e.set(func() { e.issued[token.Password], e.last = token, token })
}

// ServeHTTP answers one call.
func (e *ECR) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", e.now().UTC().Format(http.TimeFormat)) // clients correct their clock by it
	w.Header().Set("X-Amzn-Requestid", requestID())
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	e.answer(w, r, e.getAuthorizationToken)
}

func (e *ECR) getAuthorizationToken(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		awsErrorf("SerializationException", "cannot read the request").write(w)
		return
	}
	region, suffix := ecrHost(r.Host)
	operation, service := getAuthorizationToken, "ecr"
	if region == "" {
		region, operation, service = publicHost(r.Host), getPublicToken, "ecr-public"
	}
	rejection := checkOperation(r, operation)
	if rejection == nil {
		_, rejection = e.checkSignature(r, body, region, service)
	}
	if rejection == nil {
		rejection = locked(&e.state, func() *awsError { return e.checkRight(service) })
	}
	switch {
	case rejection != nil:
		rejection.write(w)
	case service == "ecr":
		e.respond(w, body, region, suffix)
	default:
		e.respondPublic(w, region)
	}
}

// respondPublic answers as ECR Public does: in one region, with one token, and no endpoint.
func (e *ECR) respondPublic(w http.ResponseWriter, region string) {
	if region != "us-east-1" {
		awsErrorf("UnsupportedCommandException",
			"GetAuthorizationToken command is only supported in us-east-1.").write(w)
		return
	}
	if locked(&e.state, func() bool { return e.noBearer }) {
		awsErrorf("AccessDeniedException", "User: arn:aws:iam::%s:user/ecr-refresh is not authorized to perform: "+
			"sts:GetServiceBearerToken "+
			"on resource: arn:aws:iam::%[1]s:user/ecr-refresh because no identity-based policy allows the "+
			"sts:GetServiceBearerToken action", e.account).write(w)
		return
	}
	token := e.issue(publicRegistry)
	_ = json.NewEncoder(w).Encode(map[string]any{"authorizationData": map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte(token.Username + ":" + token.Password)),
		"expiresAt":          float64(token.ExpiresAt.UnixMilli()) / 1000,
	}})
}

func (e *ECR) respond(w http.ResponseWriter, body []byte, region, suffix string) {
	input := struct{ RegistryIDs []string }{}
	if err := json.Unmarshal(body, &input); err != nil {
		awsErrorf("SerializationException", "the request is not JSON").write(w)
		return
	}
	if len(input.RegistryIDs) == 0 {
		input.RegistryIDs = []string{e.account}
	}
	var data []map[string]any
	for _, account := range input.RegistryIDs {
		token := e.issue(region)
		data = append(data, map[string]any{
			"authorizationToken": base64.StdEncoding.EncodeToString([]byte(token.Username + ":" + token.Password)),
			"expiresAt":          float64(token.ExpiresAt.UnixMilli()) / 1000,
			"proxyEndpoint":      "https://" + account + ".dkr.ecr." + region + "." + suffix,
		})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"authorizationData": data})
}

func (e *ECR) issue(region string) Token {
	e.state.Lock()
	defer e.state.Unlock()
	now := e.now()
	token := Token{
		Username: e.username, Password: e.password, Region: region, IssuedAt: now, ExpiresAt: now.Add(e.life),
	}
	if token.Password == "" {
		token.Password = newPassword(token.ExpiresAt)
	}
	e.issued[token.Password], e.last = token, token
	return token
}

// newPassword imitates the real one: base64 of JSON, about 2,400 characters, different at each call.
func newPassword(expires time.Time) string {
	document, _ := json.Marshal(struct { // cannot fail: strings and a number
		Payload    string `json:"payload"`
		DataKey    string `json:"datakey"`
		Version    string `json:"version"`
		Type       string `json:"type"`
		Expiration int64  `json:"expiration"`
	}{randomBase64(1068), randomBase64(184), "2", "DATA_KEY", expires.Unix()})
	return base64.StdEncoding.EncodeToString(document)
}

func randomBase64(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

func requestID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// awsError is a rejection in the words of AWS. All of them have status 400.
type awsError struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func awsErrorf(kind, format string, args ...any) *awsError {
	return &awsError{kind, fmt.Sprintf(format, args...)}
}

func (x *awsError) write(w http.ResponseWriter) {
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(x)
}

func checkOperation(r *http.Request, operation string) *awsError {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || r.URL.Path != "/" || media != "application/x-amz-json-1.1" ||
		r.Header.Get("X-Amz-Target") != operation {
		return awsErrorf("UnknownOperationException", "")
	}
	return nil
}

func (e *ECR) checkRight(service string) *awsError {
	switch {
	case e.sessionExpired:
		return awsErrorf("ExpiredTokenException", "The security token included in the request is expired")
	case e.throttled > 0:
		e.throttled--
		return awsErrorf("ThrottlingException", "Rate exceeded")
	case e.denied:
		return awsErrorf("AccessDeniedException", "User: arn:aws:iam::%s:user/ecr-refresh "+
			"is not authorized to perform: %[2]s:GetAuthorizationToken on resource: * "+
			"because no identity-based policy allows the %[2]s:GetAuthorizationToken action", e.account, service)
	}
	return nil
}

// signature is what an Authorization header of SigV4 holds.
type signature struct {
	accessKeyID, day, region, service string
	headers                           []string
	value                             string
}

func parseSignature(header string) (signature, *awsError) {
	if header == "" {
		return signature{}, awsErrorf("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	parts := authorization.FindStringSubmatch(header)
	if parts == nil {
		return signature{}, awsErrorf("IncompleteSignatureException",
			"Authorization header is not a complete SigV4 signature.")
	}
	return signature{parts[1], parts[2], parts[3], parts[4], strings.Split(parts[5], ";"), parts[6]}, nil
}

// checkSignature signs the request again with the secret that the caller must know, and compares.
func (e *ECR) checkSignature(r *http.Request, body []byte, region, service string) (aws.Credentials, *awsError) {
	got, rejection := parseSignature(r.Header.Get("Authorization"))
	if rejection != nil {
		return aws.Credentials{}, rejection
	}
	if rejection := got.checkScope(r.Header, region, service, e.now().UTC()); rejection != nil {
		return aws.Credentials{}, rejection
	}
	credentials := e.identity(got.accessKeyID)
	if credentials.AccessKeyID == "" || r.Header.Get("X-Amz-Security-Token") != credentials.SessionToken {
		return aws.Credentials{}, awsErrorf("UnrecognizedClientException",
			"The security token included in the request is invalid.")
	}
	want, err := got.sign(r, body, credentials)
	if err != nil || !hmac.Equal([]byte(want), []byte(got.value)) {
		return aws.Credentials{}, awsErrorf("InvalidSignatureException",
			"The request signature we calculated does not match the signature you provided. "+
				"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return credentials, nil
}

// identity returns the credentials of an access key: the one identity's, or those of a role that it assumed.
func (e *ECR) identity(accessKeyID string) aws.Credentials {
	e.state.Lock()
	defer e.state.Unlock()
	if e.credentials.AccessKeyID == accessKeyID {
		return e.credentials
	}
	return e.sessions[accessKeyID]
}

func (e *ECR) addSession(c aws.Credentials) { e.set(func() { e.sessions[c.AccessKeyID] = c }) }

func (s signature) checkScope(header http.Header, region, service string, now time.Time) *awsError {
	const invalid = "InvalidSignatureException"
	at, err := time.Parse(amzDate, header.Get("X-Amz-Date"))
	switch {
	case err != nil:
		return awsErrorf("IncompleteSignatureException",
			"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	case s.day != at.Format("20060102"):
		return awsErrorf(invalid, "Credential should be scoped to a valid date.")
	case s.region != region:
		return awsErrorf(invalid, "Credential should be scoped to a valid region.")
	case s.service != service:
		return awsErrorf(invalid, "Credential should be scoped to correct service: '%s'.", service)
	case at.Before(now.Add(-maxSkew)):
		return awsErrorf(invalid, "Signature expired: %s is now earlier than %s (%s - 15 min.)",
			at.Format(amzDate), now.Add(-maxSkew).Format(amzDate), now.Format(amzDate))
	case at.After(now.Add(maxSkew)):
		return awsErrorf(invalid, "Signature not yet current: %s is still later than %s (%s + 15 min.)",
			at.Format(amzDate), now.Add(maxSkew).Format(amzDate), now.Format(amzDate))
	}
	must := []string{"host", "x-amz-date"}
	if service != "sts" {
		must = append(must, "x-amz-target")
	}
	for _, name := range must {
		if !slices.Contains(s.headers, name) {
			return awsErrorf(invalid, "'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return nil
}

// sign returns the signature that the request should carry, over the headers that the caller said it signed.
func (s signature) sign(r *http.Request, body []byte, credentials aws.Credentials) (string, error) {
	at, err := time.Parse(amzDate, r.Header.Get("X-Amz-Date"))
	if err != nil {
		return "", err
	}
	again := &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: http.Header{}}
	for _, name := range s.headers {
		if values := r.Header.Values(name); len(values) > 0 {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if slices.Contains(s.headers, "content-length") {
		again.ContentLength = int64(len(body))
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, again, hex.EncodeToString(sum[:]), s.service,
		s.region, at); err != nil {
		return "", err
	}
	want, _ := parseSignature(again.Header.Get("Authorization"))
	return want.value, nil
}

// authorization is the header of a signed call.
var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 ` +
	`Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request,` +
	`\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$`)
