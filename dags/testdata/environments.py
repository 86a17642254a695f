"""Prints what the stub hands to Airflow, for every combination of its inputs.

    environments.py NAME=FILE...

Neither Airflow nor Docker's libraries are imported: stand-ins record the arguments of the DAG and of its operators, and
each environment is rendered by evaluating its template as Python. For each NAME the output has the arguments, some
environments in full, and a digest for each combination of a task's inputs: a line has those for all values of the last
two inputs. One digest is over the environments for all params and for Airflow before and since 3.2; the order of an
environment's entries counts.

ECR_REFRESH_OPERATOR, ECR_REFRESH_LOG_FORMAT, PATH and ECR_REFRESH_AIRFLOW_CONNECTION are taken out of each environment;
the line "operators" has the values of the first three. A NAME with "docker" in it may import Docker's modules, another
may not; one with "settings" in it gets no digests.
"""

import hashlib
import itertools
import json
import os
import sys
import sysconfig
from types import ModuleType, SimpleNamespace

ABSENT = object()


class Recorder:
    """Records the arguments of each call."""

    def __init__(self, **arguments):
        self.arguments = arguments

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def __rshift__(self, other):
        self.arguments["downstream"] = other.arguments["task_id"]
        return other


class Mount(dict):
    """Stands in for docker.types.Mount, a dict with attributes."""

    def __init__(self, target, source, **more):
        super().__init__(target=target, source=source, **more)


def load(path, docker):
    """Returns the DAG's arguments and its tasks by task_id."""
    dags, tasks = [], {}

    class DAG(Recorder):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            dags.append(self)

    class Operator(Recorder):
        def __init__(self, **arguments):
            super().__init__(operator=type(self).__bases__[0].__name__, **arguments)
            for mount in arguments.get("mounts", []):
                mount.template_fields = ()  # as Docker provider 4.4.2 does: a plain dict fails
            tasks[arguments["task_id"]] = self

    modules = {
        "airflow": {},
        "airflow.configuration": {"conf": SimpleNamespace(getint=lambda section, key: {"core": 4096}[section])},
        "airflow.sdk": {"DAG": DAG, "Param": lambda default, **more: [default, more["type"]]},
        "airflow.sdk.exceptions": {
            name: type(name, (Exception,), {})
            for name in ("AirflowException", "AirflowFailException", "AirflowSkipException")
        },
        "airflow.providers.standard.hooks.subprocess": {"SubprocessHook": type("SubprocessHook", (), {})},
        "airflow.providers.standard.operators.bash": {"BashOperator": type("BashOperator", (Operator,), {})},
    }
    text = open(path, encoding="utf-8").read()
    of_docker = {
        "airflow.providers.docker.operators.docker": {"DockerOperator": type("DockerOperator", (Operator,), {})},
        "docker.types": {"Mount": Mount},
    }
    for name in of_docker:
        sys.modules[name] = None  # importing it is an error
    if docker:
        modules.update(of_docker)
    for name, content in modules.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(content)
    exec(compile(text, path, "exec"), {"__name__": "stub", "__doc__": None})
    (dag,) = dags
    return dag.arguments, tasks


def given(**choices):
    """Yields each combination of choices, as a dict."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values))


def connection(**fields):
    """Returns a connection as Airflow's conn has it; a field that is not named is None."""
    names = ("conn_type", "schema", "host", "port", "login", "password", "extra")
    return SimpleNamespace(**{name: fields.get(name) for name in names})


ECR = "12345678901%d.dkr.ecr.us-east-1.amazonaws.com"
DECLARED = [{"connection_id": "docker_a", "account": "210987654321", "region": "eu-west-1"}]
LACKING = [*DECLARED, {"connection_id": "docker_default"}, {"connection_id": "docker_b", "account": "210987654321"}]
LONG = [{"connection_id": "c%04d" % n, "registry": "r" * 5_000} for n in range(30)]
TARGETS = {
    "missing": ABSENT,
    "declared": json.dumps(DECLARED),
    "lacking": json.dumps(LACKING),
    "long": json.dumps([*LONG, {"connection_id": "docker_default"}]),
    "many": json.dumps([{"connection_id": "c%04d" % n, "partition_suffix": "example.com"} for n in range(1200)]),
    "malformed": '[{"connection_id": "docker_a"',
    "no-list": '{"connection_id": "docker_a"}',
    "no-id": '[{"account": "210987654321"}]',
}
CONNECTIONS = {
    "missing": None,
    "full": {
        "conn_type": "http",
        "schema": "https",
        "host": "h.example.com",
        "port": 8443,
        "login": "u",
        "password": "p",
        "extra": '{"grant_type": "client_credentials", "headers": "SECRET"}',
    },
    "null-port": {"conn_type": "docker", "host": ECR % 2, "login": "AWS", "password": "s"},
}
IDS = {"none": None, "two": "docker_default, docker_b"}


def published(*names):
    """Returns the result of a step about the connections of these names."""
    return {"version": 1, "step": "s", "connections": [{"connection_id": name, "note": "\u00fc"} for name in names]}


RESULTS = {
    "none": None,
    "empty": {},
    "one": published("docker_default"),
    "several": published("docker_default", "docker_a", "docker_b", "no_such_connection"),
    "tokens": {"version": 1, "tokens": [], "sealed": "s" * 150_000},
    "many": published(*["c%04d" % n for n in range(1200)]),
    "forged": published("airflow-api", "docker_default", "docker_default", "aws_default"),
}
TEXTS = {
    **{name: json.dumps(result, separators=(",", ":")) for name, result in RESULTS.items() if result is not None},
    "none": None,
    "nothing": "",
    "log": "a line of the log\n" + json.dumps(published("docker_default", "docker_a")),
    "cut": '"docker_default"}]}',
}
VALUES = {
    "ecr_aws_account": "123456789012",
    "ecr_aws_region_name": "us-east-1",
    "ecr_refresh_recipient": "age1r",
    "ecr_refresh_private_key": "AGE-SECRET-KEY-1",
    "ecr_refresh_airflow_token": "jwt",
}
PRESENCE = ("missing", "present")


def inputs(task, texts):
    """Returns the choices of one task: all of what its environment is made from."""
    results = TEXTS if texts else RESULTS
    if task == "extract_ecr_token":
        choices = {name: PRESENCE for name in list(VALUES)[:3]}
        return {**choices, "ecr_targets": TARGETS, "docker_default": CONNECTIONS, "aws_default": CONNECTIONS}
    if task == "update_docker_connection":
        choices = {"ecr_refresh_private_key": PRESENCE, "ecr_refresh_airflow_token": PRESENCE}
        return {**choices, "airflow-api": CONNECTIONS, "result": results}
    return {"ecr_targets": ("missing", "lacking"), "docker_default": CONNECTIONS, "result": results}


class Many(dict):
    """Has a connection for each name such as c0000 too: of five logins, and of four hosts, one of them not ECR's."""

    def get(self, name, default=None):
        if name[1:].isdigit():
            n = int(name[1:])
            hosts = [ECR % 1, "HTTPS://" + ECR % 2 + ":443/v2", (ECR % 3)[:-13] + "example.com", "127.0.0.1"]
            fields = {"login": "AWS", "password": "x" * 3_000 + str(n % 5)}
            return connection(conn_type="docker", host=hosts[n % 4], port=[None, 443, 5000][n % 7 % 3], **fields)
        return super().get(name, default)


def environment(task, choice, texts, params):
    """Returns the rendered environment of a task, as Airflow renders it."""
    variables = {name: VALUES[name] for name in VALUES if choice.get(name) != "missing"}
    if TARGETS[choice.get("ecr_targets", "declared")] is not ABSENT:
        variables["ecr_targets"] = TARGETS[choice.get("ecr_targets", "declared")]
    found = Many(
        docker_a=connection(conn_type="docker", host=ECR % 0, login="AWS", password="s", port=2376),
        docker_b=connection(conn_type="docker", host="public.ecr.aws", login="b"),
    )
    for name in ("airflow-api", "docker_default", "aws_default"):
        if CONNECTIONS[choice.get(name, "full")]:
            found[name] = connection(**CONNECTIONS[choice.get(name, "full")])
    result = (TEXTS if texts else RESULTS)[choice.get("result", "none")]
    steps = ["extract_ecr_token", "update_docker_connection", "test_docker_connection"]
    before = dict(zip(steps[1:], steps))
    names = {
        "var": SimpleNamespace(value=variables),
        "conn": found,
        "params": params,
        "ti": SimpleNamespace(xcom_pull=lambda task_ids: {before[task["task_id"]]: result}[task_ids]),
    }
    template = task["env" if "env" in task else "environment"]
    return eval(template.strip("{} "), {**names, **dag["user_defined_macros"]})


def digest(environments):
    """Returns a digest of environments, in which the order of entries counts."""
    return hashlib.sha256(repr([list(env.items()) for env in environments]).encode()).hexdigest()[:6]


def shown(value):
    """Returns a value to print: a function's name, and the size and digest of a long text."""
    if callable(value):
        return value.__name__
    if isinstance(value, str) and len(value) > 400:
        return "%d characters, sha256 %s" % (len(value), hashlib.sha256(value.encode()).hexdigest()[:12])
    return str(value)


SHOWN = (
    {"ecr_targets": "missing", "ecr_aws_account": "missing"},
    {"ecr_targets": "lacking", "aws_default": "missing"},
    {"ecr_targets": "long"},
    {"airflow-api": "missing", "result": "none"},
    {"airflow-api": "null-port", "result": "one", "ecr_refresh_private_key": "missing"},
    {"result": "tokens"},
    {"docker_default": "missing", "result": "several"},
    {"docker_default": "null-port", "result": "several", "ecr_targets": "lacking"},
    {"docker_default": "null-port", "result": "forged", "ecr_targets": "missing"},
    {"docker_default": "full", "result": "one", "ecr_targets": "missing"},
    {"result": "many", "ecr_targets": "many"},
)

os.environ["PATH"] = "/worker/bin"
for argument in sys.argv[1:]:
    name, path = argument.split("=", 1)
    texts, operators = "docker" in name, set()
    dag, tasks = load(path, docker=texts)
    tasks = {name: task.arguments for name, task in tasks.items()}
    for what, arguments in {"DAG": dag, **tasks}.items():
        left_out = ("user_defined_macros", "doc_md", "env", "environment")
        known = {key: shown(value) for key, value in sorted(arguments.items()) if key not in left_out}
        print(name, what, json.dumps(known, indent=1))

    def rendered(task, choice, params):
        env = environment(task, choice, texts, params)
        assert all(type(key) is str and type(value) is str and len(value) < 128 << 10 for key, value in env.items())
        first = env.pop("ECR_REFRESH_OPERATOR", None), env.pop("ECR_REFRESH_LOG_FORMAT", None), env.pop("PATH", "no PATH")
        operators.add(", ".join(first).replace(sysconfig.get_path("scripts"), "SCRIPTS"))
        env.pop("ECR_REFRESH_AIRFLOW_CONNECTION", None)
        return env

    def in_all_runs(task, choice):
        for case in given(ids=IDS, dry_run=(False, True), release=("3.1.8", "3.3.2")):
            sys.modules["airflow"].__version__ = case["release"]
            yield rendered(task, choice, {"connection_ids": IDS[case["ids"]], "dry_run": case["dry_run"]})

    for choice in SHOWN:
        release = "3.1.8" if {"long", "many"} & set(choice.values()) else "3.3.2"
        sys.modules["airflow"].__version__ = release
        for task_id, task in tasks.items():
            if set(choice) <= set(inputs(task_id, texts)):
                env = rendered(task, choice, {"connection_ids": None, "dry_run": False})
                known = {key: shown(value) for key, value in env.items()}
                print(name, task_id, json.dumps(choice), release, json.dumps(known, indent=1))
    for task_id, task in tasks.items() if "settings" not in name else ():
        choices = inputs(task_id, texts)
        last = {key: choices.pop(key) for key in list(choices)[-2:]}
        for choice in given(**choices):
            digests = [digest(in_all_runs(task, {**choice, **more})) for more in given(**last)]
            print(name, task_id, *["%s-%s" % item for item in choice.items()], "", *digests)
    print(name, "operators", *sorted(map(str, operators)))
