package real

import (
	"os"
	"strings"
	"testing"

	"ecr-refresh/integration/real/openapi"
	"ecr-refresh/integration/real/peers"
)

// TestRealOpenAPI holds the document that our client is generated from to the documents of the release, field by field.
func TestRealOpenAPI(t *testing.T) {
	release := os.Getenv("AIRFLOW")
	all, err := peers.ReadOpenAPI(t.Context(), release, root+"/airflowclient/openapi.yaml")
	must(t, err)
	isLogin := func(path string) bool { return strings.HasPrefix(path, "/auth/") }
	login := all.Client.Only(isLogin)
	core := all.Client.Only(func(path string) bool { return !isLogin(path) })
	for name, pair := range map[string][2]openapi.Document{
		"core": {core, all.Core}, "simple": {login, all.Simple}, "fab": {login, all.FAB},
	} {
		if found := openapi.Differences(pair[0], pair[1]); len(found) > 0 {
			t.Errorf("the API of Airflow %s (%s) is not what airflowclient/openapi.yaml says:\n%s", release, name,
				strings.Join(found, "\n"))
		}
	}
}
