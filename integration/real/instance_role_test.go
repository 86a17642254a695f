package real

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// dockerInstanceRole: without connection aws_default, a container has the role of the instance, over the host's
// network, from a metadata service (IMDSv2).
func (w *world) dockerInstanceRole(t *testing.T) {
	role := w.Sandbox.ECR.Credentials()
	const path = "GET /latest/meta-data/iam/security-credentials/"
	answers := map[string]string{
		"PUT /latest/api/token": "session",
		path:                    "ecr-refresh",
		path + "ecr-refresh": asJSON(map[string]any{
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
	env := map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL}
	d := w.copy(t, "role", variant{docker: true, env: env,
		edits: []string{`AWS = "aws_default"`, `AWS = "no_such_connection"`}})
	d.run(t).wantGreen(t)
	if d.Password(t, d.connection) == d.old {
		t.Error("nothing was published")
	}
}
