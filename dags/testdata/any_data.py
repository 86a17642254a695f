"""Renders the environments of a DAG file with arbitrary data in Variables, connections, params and results.

    any_data.py FILE

Nothing may raise: what a task is given is for ecr-refresh to judge. It prints the number of environments.
"""

import json
import random
import sys
from types import SimpleNamespace

path = sys.argv.pop()
import environments  # noqa: E402 prints nothing without arguments

pick = random.Random(1).choice
ATOMS = [None, True, False, 0, -1, 1.5, "", "x", "docker_default", "a/b", "\u00fc\n", "{}", [], {}]
NAMES = ["connection_id", "connections", "partition_suffix", "registry", "account", "region", "reauth", "version"]


def value(depth=3):
    """Returns any JSON value."""
    kind = pick(["atom", "list", "dict"]) if depth else "atom"
    if kind == "list":
        return [value(depth - 1) for _ in range(pick([1, 2, 3]))]
    if kind == "dict":
        return {pick(NAMES): value(depth - 1) for _ in range(pick([1, 2, 3]))}
    return pick(ATOMS)


def text():
    """Returns a text: JSON, JSON that is cut, or none."""
    whole = json.dumps(value())
    return pick([whole, whole, whole[:-1], "[" * 100_000, "\ufeff" + whole, "log\n" + whole, "", "\n"])


class Connections:
    """Has every connection; fails as Airflow does for what is no id."""

    def get(self, name, default=None):
        assert isinstance(name, str) and name and "/" not in name, name
        fields = {name: pick(ATOMS[:12]) for name in ("conn_type", "schema", "host", "port", "login", "password")}
        return pick([None, environments.connection(**fields, extra=pick([None, text()]))])


dag, _ = environments.load(path, docker=True)
macros, rendered = dag["user_defined_macros"], 0
# Whoever triggers a run names connections, and all may see the hosts that it is given: none of another type, no login.
sys.modules["airflow"].__version__ = "3.3.2"
named = {
    "a": environments.connection(conn_type="http", host="https://h.example.com/S3CRET"),
    "b": environments.connection(conn_type="docker", host="https://me:S3CRET@h.example.com"),
    "c": environments.connection(conn_type="docker", host="h.example.com/app@sha256:01"),
}
shown = macros["extract_environment"]({}, named, {"connection_ids": "a, b, c", "dry_run": False})
assert json.loads(shown["ECR_REFRESH_CONNECTION_HOSTS"]) == {"b": "h.example.com", "c": "h.example.com/app"}, shown
# A list of blanks is none, as for ecr-refresh.
asked = macros["extract_environment"]({"ecr_targets": " \n"}, named, {"connection_ids": "b", "dry_run": False})
assert "h.example.com" in asked["ECR_REFRESH_CONNECTION_HOSTS"], asked
# Some characters become ASCII in lower case: a registry's host has none.
host = "123456789012.d\u212ar.ecr.us-east-1.amazonaws.com"
named["a"] = environments.connection(conn_type="docker", host=host, login="AWS", password="S3CRET")
result, params = {"connections": [{"connection_id": "a"}]}, {"connection_ids": "a", "dry_run": False}
assert "S3CRET" not in str(macros["test_environment"]({}, named, params, result))
for _ in range(3000):
    sys.modules["airflow"].__version__ = pick(["3.1.8", "3.3.2"])
    variables = {name: text() for name in [*environments.VALUES, "ecr_targets"] if pick([True, False])}
    params = {"connection_ids": pick([None, "", ",", "a,,b", "a/b"]), "dry_run": pick([True, False])}
    result = pick([None, value(), text()])
    for env in (
        macros["extract_environment"](variables, Connections(), params),
        macros["update_environment"](variables, Connections(), params, result),
        macros["test_environment"](variables, Connections(), params, result),
    ):
        assert all(type(name) is str and type(part) is str for name, part in env.items()), env
        rendered += 1
print(rendered)
