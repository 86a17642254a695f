#!/usr/bin/env python3
"""Cut Airflow's OpenAPI documents down to the operations that ecr-refresh uses.

    python3 cut_openapi.py                        download the pinned wheel with pip (needs the network)
    python3 cut_openapi.py --wheel FILE.whl       read a wheel that is already here
    python3 cut_openapi.py --site-packages DIR    read an installed Airflow

The result goes to openapi.yaml beside this script (or --out FILE). The same input gives the same bytes.

What is cut, and why:
- operations that are not in KEEP, and schemas that no kept operation refers to;
- prose (description, summary, title, tags), but not the connection's own property "description";
- answers other than 2xx and 3xx: `detail` is a string, a list or an object whatever the documents say (the Simple
  auth manager answers 422 with a string), so scrub.go reads it by hand;
- the create and delete branches of the bulk body: a client that cannot express them cannot send them;
- the form-encoded body of create_token: JSON is what every auth manager takes;
- the second of the two shapes of an XCom: `value` is any JSON in the first;
- header and query parameters but those in PARAMETERS;
- the fields of long schemas that are not in FIELDS;
- null as the conf of a new DAG run: Airflow 3.0 rejects it;
- fields that Airflow before 3.2 does not know (team_name, update_mask): a client without them fits every release, which
  TestRealOpenAPI in integration/ checks.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import yaml

WHEEL = "apache-airflow-core==3.3.2"
CORE = "airflow/api_fastapi/core_api/openapi/v2-rest-api-generated.yaml"
LOGIN = "airflow/api_fastapi/auth/managers/simple/openapi/v2-simple-auth-manager-generated.yaml"
KEEP = {
    CORE: [
        *["get_version", "logout", "get_import_errors"],
        *["get_connections", "bulk_connections", "get_connection", "post_connection", "patch_connection"],
        *["get_pool", "post_pool", "get_variable", "post_variable", "patch_variable"],
        *["delete_connection", "delete_pool", "delete_variable"],
        *["get_dag_details", "get_dag_source", "get_dag_runs", "trigger_dag_run"],
        *["get_task_instances", "get_log", "get_xcom_entry", "get_event_logs"],
    ],
    LOGIN: ["create_token"],
}
PARAMETERS = {"limit", "offset", "full_content"}
FIELDS = {
    "DAGDetailsResponse": {"dag_id", "is_paused", "is_stale", "has_import_errors", "last_parsed_time"},
    "DAGRunCollectionResponse": {"dag_runs"},
    "DAGRunResponse": {"dag_run_id", "state", "start_date", "end_date", "conf"},
    "DAGSourceResponse": {"content"},
    "EventLogCollectionResponse": {"event_logs"},
    "EventLogResponse": {"when", "event", "owner", "extra"},
    "ImportErrorResponse": {"filename", "stack_trace"},
    "PoolResponse": {"name", "slots", "description", "include_deferred"},
    "TaskInstanceCollectionResponse": {"task_instances"},
    "TaskInstanceResponse": {"task_id", "map_index", "state", "try_number", "pool", "queue", "start_date", "end_date"},
    "TaskInstancesLogResponse": {"content"},
    "TriggerDAGRunPostBody": {"conf", "logical_date"},
    "VariableResponse": {"key", "value", "description"},
    "VersionInfo": {"version"},
    "XComResponseNative": {"value"},
}
NEWER = {"team_name", "update_mask"}
PROSE = {"description", "summary", "title", "tags", "example", "examples", "security"}
REF = "#/components/schemas/"


class Plain(yaml.SafeDumper):
    """Writes every node in full: no anchors and aliases."""

    def ignore_aliases(self, data):
        return True


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        documents = {path: yaml.safe_load(text) for path, text in read(args, folder).items()}
    result = merge([cut(document, KEEP[path]) for path, document in documents.items()])
    head = f"# Cut by cut_openapi.py from {WHEEL}, Apache License 2.0. DO NOT EDIT.\n"
    body = yaml.dump(result, Dumper=Plain, sort_keys=False, width=120)
    args.out.write_text(head + body, encoding="utf-8")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--wheel", type=pathlib.Path, help=f"a wheel of {WHEEL}")
    source.add_argument("--site-packages", type=pathlib.Path, help=f"a folder with {WHEEL} installed")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_name("openapi.yaml"))
    return parser.parse_args()


def read(args, folder):
    """Give the text of both documents by their path in the wheel."""
    if args.site_packages:
        name, version = WHEEL.split("==")
        if not (args.site_packages / f"{name.replace('-', '_')}-{version}.dist-info").is_dir():
            sys.exit(f"cut_openapi.py: {args.site_packages} does not hold {WHEEL}")
        return {path: (args.site_packages / path).read_text(encoding="utf-8") for path in KEEP}
    with zipfile.ZipFile(args.wheel or download(folder)) as wheel:
        return {path: wheel.read(path).decode("utf-8") for path in KEEP}


def download(folder):
    """Fetch the pinned wheel alone, without what it depends on."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--python-version", "3.12", "--dest", folder, WHEEL], check=True)
    return next(pathlib.Path(folder).glob("*.whl"))


def cut(document, operations):
    """Keep the named operations and the schemas they reach."""
    paths = {}
    for path, methods in document["paths"].items():
        kept = {m: operation(o) for m, o in methods.items() if o["operationId"] in operations}
        if kept:
            paths[path] = kept
    found = sorted(o["operationId"] for methods in paths.values() for o in methods.values())
    if found != sorted(operations):
        sys.exit(f"cut_openapi.py: found the operations {found}, wanted {sorted(operations)}")
    schemas = {name: fields(name, schema(body)) for name, body in document["components"]["schemas"].items()}
    return {"paths": paths, "components": {"schemas": reached(paths, schemas)}}


def operation(body):
    """Strip prose, answers that report an error, and content types other than JSON."""
    body = schema(body)
    body["responses"] = {
        code: {"description": "", **answer} for code, answer in body["responses"].items() if code[0] in "23"
    }
    for answer in body["responses"].values():
        if "content" in answer:
            answer["content"] = {"application/json": answer["content"]["application/json"]}
    if "requestBody" in body:
        content = body["requestBody"]["content"]
        body["requestBody"]["content"] = {"application/json": content["application/json"]}
    parameters = [p for p in body.pop("parameters", []) if p["in"] == "path" or p["name"] in PARAMETERS]
    if parameters:
        body["parameters"] = parameters
    if body["operationId"] == "logout":  # the body of the redirect is of no use
        body["responses"]["307"].pop("content")
    if body["operationId"] == "get_xcom_entry":
        answer = body["responses"]["200"]["content"]["application/json"]
        answer["schema"] = answer["schema"]["anyOf"][0]
    return body


def fields(name, body):
    """Keep the fields of a schema that FIELDS names, where it names any."""
    if name in FIELDS:
        body["properties"] = {k: v for k, v in body["properties"].items() if k in FIELDS[name]}
        body["required"] = [k for k in body.get("required", []) if k in FIELDS[name]]
    if name == "TriggerDAGRunPostBody":
        body["properties"]["conf"] = body["properties"]["conf"]["anyOf"][0]
    return body


def schema(node, names=False):
    """Strip prose. names: the keys are names of properties, and one of them may be "description"."""
    if isinstance(node, list):
        return [schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "oneOf" in node:
        return only_update(node["oneOf"])
    drop = NEWER if names else PROSE
    kept = {k: schema(v, k == "properties" and not names) for k, v in node.items() if k not in drop}
    if isinstance(kept.get("required"), list) and not names:
        kept["required"] = [name for name in kept["required"] if name not in NEWER]
    return kept


def only_update(branches):
    """Narrow a oneOf over bulk actions, which has no discriminator, to the update action."""
    updates = [b for b in branches if b.get("$ref", "").startswith(REF + "BulkUpdateAction_")]
    return updates[0] if len(updates) == 1 else {"oneOf": branches}


def reached(paths, schemas):
    """Give the schemas that paths refer to, directly or through another schema, sorted by name."""
    wanted, seen = refs(paths), set()
    while wanted - seen:
        name = (wanted - seen).pop()
        seen.add(name)
        wanted |= refs(schemas[name])
    return {name: schemas[name] for name in sorted(seen)}


def refs(node):
    """Give the names of the schemas that node refers to."""
    if isinstance(node, list):
        return set().union(*map(refs, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix(REF)} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(refs, node.values()))


def merge(parts):
    """Join cut documents into one."""
    paths, schemas = {}, {}
    for part in parts:
        paths |= part["paths"]
        schemas |= part["components"]["schemas"]
    info = {"title": "Airflow REST API, the part that ecr-refresh uses", "version": WHEEL.split("==")[1]}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": dict(sorted(schemas.items()))}}


if __name__ == "__main__":
    main()
