package sandbox

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// AssumedRole is one call of AssumeRole that succeeded.
type AssumedRole struct {
	Region, RoleARN, SessionName, ExternalID string
	AccessKeyID                              string // of the credentials that it gave
}

// STS stands in for AWS's Security Token Service in every region: GetCallerIdentity and AssumeRole, by the query
// protocol, signed by SigV4. ECR accepts the credentials that it issues.
type STS struct {
	Faults
	ecr *ECR

	state      sync.Mutex
	externalID string
	assumed    []AssumedRole
}

// SetExternalID makes roles want this external id.
func (s *STS) SetExternalID(id string) { change(&s.state, func() { s.externalID = id }) }

// Assumed returns the roles that were assumed so far.
func (s *STS) Assumed() []AssumedRole {
	return locked(&s.state, func() []AssumedRole { return slices.Clone(s.assumed) })
}

// ServeHTTP answers one call.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.ecr.now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "text/xml")
	s.answer(w, r, s.call)
}

func (s *STS) call(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	form, formErr := url.ParseQuery(string(body))
	if err != nil || formErr != nil {
		stsReject(w, awsErrorf("MalformedQueryString", "cannot read the request"))
		return
	}
	region := stsRegion(r.Host)
	caller, rejection := s.ecr.checkSignature(r, body, region, "sts")
	if rejection != nil {
		stsReject(w, rejection)
		return
	}
	switch form.Get("Action") {
	case "GetCallerIdentity":
		stsAnswer(w, "GetCallerIdentity", `<Arn>arn:aws:iam::`+s.ecr.account+
			`:user/ecr-refresh</Arn><UserId>AIDAEXAMPLE</UserId><Account>`+s.ecr.account+`</Account>`)
	case "AssumeRole":
		s.assume(w, form, region, caller)
	default:
		stsReject(w, awsErrorf("InvalidAction", "Could not find operation"))
	}
}

func (s *STS) assume(w http.ResponseWriter, form url.Values, region string, caller aws.Credentials) {
	role := AssumedRole{Region: region, RoleARN: form.Get("RoleArn"), SessionName: form.Get("RoleSessionName"),
		ExternalID: form.Get("ExternalId")}
	if want := locked(&s.state, func() string { return s.externalID }); want != role.ExternalID && want != "" {
		stsReject(w, awsErrorf("AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s",
			caller.AccessKeyID, role.RoleARN))
		return
	}
	c := aws.Credentials{AccessKeyID: "ASIA" + rand.Text()[:16], SecretAccessKey: rand.Text(),
		SessionToken: rand.Text() + rand.Text()}
	s.ecr.addSession(c)
	role.AccessKeyID = c.AccessKeyID
	change(&s.state, func() { s.assumed = append(s.assumed, role) })
	stsAnswer(w, "AssumeRole", fmt.Sprintf(`<Credentials><AccessKeyId>%s</AccessKeyId>`+
		`<SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>`+
		`<AssumedRoleUser><Arn>%s</Arn><AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId></AssumedRoleUser>`,
		c.AccessKeyID, c.SecretAccessKey, c.SessionToken,
		s.ecr.now().Add(tokenLife).UTC().Format("2006-01-02T15:04:05Z"), role.RoleARN))
}

func stsAnswer(w http.ResponseWriter, action, result string) {
	_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`+
		`<%[1]sResult>%[2]s</%[1]sResult>`+
		`<ResponseMetadata><RequestId>%[3]s</RequestId></ResponseMetadata></%[1]sResponse>`,
		action, result, requestID())
}

func stsReject(w http.ResponseWriter, x *awsError) {
	type rejection struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
	}
	w.WriteHeader(http.StatusForbidden)
	_ = xml.NewEncoder(w).Encode(rejection{Code: x.Type, Message: x.Message})
}
