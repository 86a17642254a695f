package peers

import (
	"context"
	"encoding/json"
	"path/filepath"

	"ecr-refresh/integration/real/openapi"
)

// OpenAPI is the description of its API that an Airflow release ships.
type OpenAPI struct {
	Core, Simple, FAB openapi.Document // the API itself, and the login of each auth manager
	Client            openapi.Document // what our client is generated from
}

const documents = `
import json, sys, sysconfig, yaml
site = sysconfig.get_path("purelib") + "/airflow/"
files = {
    "Core": site + "api_fastapi/core_api/openapi/v2-rest-api-generated.yaml",
    "Simple": site + "api_fastapi/auth/managers/simple/openapi/v2-simple-auth-manager-generated.yaml",
    "FAB": site + "providers/fab/auth_manager/api_fastapi/openapi/v2-fab-auth-manager-generated.yaml",
    "Client": sys.argv[1],
}
json.dump({name: yaml.safe_load(open(file)) for name, file in files.items()}, sys.stdout)
`

// ReadOpenAPI reads the documents of an installed release, and the client's own from a file. Nothing is started.
func ReadOpenAPI(ctx context.Context, release, client string) (OpenAPI, error) {
	var all OpenAPI
	venv, err := installed(release)
	if err != nil {
		return all, err
	}
	text, err := run(ctx, cleanEnv(), filepath.Join(venv, "bin", "python"), "-c", documents, client)
	if err != nil {
		return all, err
	}
	return all, json.Unmarshal([]byte(text), &all)
}
