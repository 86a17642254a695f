package peers

import (
	"context"
	"os"
)

// AWSFiles are the texts of AWS's two files, and the profile that is used of them; "" is the default one.
type AWSFiles struct{ Config, Credentials, Profile string }

const botocoreKeys = `
import json, os, sys, tempfile
import botocore.session

def key(case):
    with tempfile.TemporaryDirectory() as home:
        for name, env in ("Config", "AWS_CONFIG_FILE"), ("Credentials", "AWS_SHARED_CREDENTIALS_FILE"):
            os.environ[env] = os.path.join(home, name)
            with open(os.environ[env], "w", encoding="utf-8") as file:
                file.write(case[name])
        try:
            session = botocore.session.Session(profile=case["Profile"] or None)
            session.register_component("data_loader", loader)
            session.create_client("ecr", region_name="us-east-1")
            return session.get_credentials().access_key
        except Exception:
            return ""

loader = botocore.session.Session().get_component("data_loader")  # reads the model of ECR once
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
json.dump([key(case) for case in json.load(sys.stdin)], sys.stdout)
`

// BotocoreKeys returns the access key that a release's botocore finds in each case, or "" where it fails.
func BotocoreKeys(ctx context.Context, release string, cases []AWSFiles) (keys []string, err error) {
	err = askPython(ctx, release, botocoreKeys, os.Getenv("PATH"), cases, &keys)
	return keys, err
}
