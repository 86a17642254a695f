package real

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// dockerInstanceRole: without connection aws_default, a container has the role of the instance, over the host's
// network.
func (w *world) dockerInstanceRole(t *testing.T) {
	metadata := newMetadata(t, w.Sandbox.ECR.Credentials())
	d := w.dockerCopy(t, "role",
		map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL},
		`AWS = "aws_default"`, `AWS = "no_such_connection"`)
	d.run(t).wantGreen(t)
	if d.password(t, d.connection) == d.old {
		t.Error("nothing was published")
	}
}

// newMetadata is the metadata service of an instance (IMDSv2) whose role has these credentials.
func newMetadata(t *testing.T, role aws.Credentials) *httptest.Server {
	t.Helper()
	answers := map[string]string{
		"PUT /latest/api/token":                           "session",
		"GET /latest/meta-data/iam/security-credentials/": "ecr-refresh",
		"GET /latest/meta-data/iam/security-credentials/ecr-refresh": asJSON(map[string]any{
			"Code": "Success", "AccessKeyId": role.AccessKeyID, "SecretAccessKey": role.SecretAccessKey,
			"Token": role.SessionToken, "Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		}),
	}
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(metadata.Close)
	return metadata
}
