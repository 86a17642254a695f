"""Refreshes the Amazon ECR password of Airflow's Docker connections.

Each task runs one step of `ecr-refresh` and hands its result, JSON with an encrypted token, to the next one by XCom.
With `OPERATOR = "bash"` the binary is on the worker's PATH or beside its Python (where pip installs it), or
ECR_REFRESH_BIN names it; with `OPERATOR = "docker"` each step runs in a container of `IMAGE` (`make image`,
`docker load`). Both need:

- Variables `ecr_aws_account` and `ecr_aws_region_name`, or for many registries Variable `ecr_targets`
- Connection `airflow-api` (HTTP): this Airflow's REST API, and a user who may read and edit connections
- Connection `docker_default` (Docker): its host is the registry's bare name, its password is what this DAG updates
- Pool `systemqueue`, and with Celery a worker that serves the queue of that name
- In containers, or with several workers: Variables `ecr_refresh_recipient` and `ecr_refresh_private_key` (`keygen`)
- Variable `ecr_refresh_airflow_token` in place of login and password, where Airflow issues API tokens

A container has nothing of the worker's environment and files: AWS credentials are those of connection `aws_default`,
else the instance's role, and the test step does not see the worker's `~/.docker/config.json`.

Triggered manually, the DAG asks for `connection_ids`, joined by commas, and for `dry_run`: check all, update nothing.

A failed task's exception says what failed and what to do. A step that ends with exit code 1 is retried; one that cannot
succeed before something is changed (2), or was not found (127), ends its task at once.
"""

import json
import os
import re
import sysconfig
from datetime import datetime, timedelta, timezone
from pkgutil import resolve_name

import airflow
from airflow.sdk import DAG, Param

try:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
except ImportError:  # older releases
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException

# --- Settings ---------------------------------------------------------------------------------------------------------
OPERATOR = "bash"  # "bash" or "docker"
DAG_ID = "refresh_docker_token_v4"
# A token is valid for twelve hours: with a run every six hours, one may fail before it expires.
SCHEDULE = "55 5,11,17,23 * * *"
CONNECTION_IDS = ""  # to refresh, joined by commas; empty: all of Variable ecr_targets, or docker_default
AIRFLOW_API = "airflow-api"
QUEUE = "systemqueue"
POOL = "systemqueue"
RETRIES = 2  # of a step that ended with exit code 1
RETRY_DELAY = 60  # seconds
OWNER = "airflow"
TAGS = ["airflow", "docker", "ecr"]
ON_FAILURE_CALLBACK = ""  # "module:name" of a function of the context, or a notifier, for a run that has failed
# Added to the environment of every task, such as "HTTPS_PROXY": "http://proxy:3128". No secrets: Airflow may show them.
ENVIRONMENT = {}

# The others count with OPERATOR = "docker" only. IMAGE comes from a registry whose password this DAG does not refresh:
# it could not be pulled once that password has expired. For the same reason docker_conn_id is not set.
IMAGE = "ecr-refresh:latest"
# Such as {"target": "/ca.pem", "source": "/etc/ca.pem", "type": "bind", "read_only": True} (docker.types.Mount) with
# "ECR_REFRESH_CA_FILE": "/ca.pem" in ENVIRONMENT.
MOUNTS = []
# Login and password of this connection are the AWS credentials of step 1. Where it is missing or has none, the
# instance's role is used, which a container reaches on the host's network.
AWS = "aws_default"
# Docker's socket on the worker, for step 3. The image's own user may not open it; "65532:<gid of group docker>" may,
# where `stat -c %g /var/run/docker.sock` prints such a group. Access to the socket is root access to that host.
SOCKET = "/var/run/docker.sock"
SOCKET_USER = "0:0"
# --- End of settings --------------------------------------------------------------------------------------------------

if OPERATOR == "docker":  # the provider need not be installed otherwise
    from airflow.providers.docker.operators.docker import DockerOperator as Operator
    from docker.types import Mount
elif OPERATOR == "bash":
    from airflow.providers.standard.hooks.subprocess import SubprocessHook
    from airflow.providers.standard.operators.bash import BashOperator as Operator
else:
    raise ValueError('OPERATOR is %r, neither "bash" nor "docker"' % OPERATOR)

COMMAND = """bin="${ECR_REFRESH_BIN:-ecr-refresh}"
if ! command -v "$bin" >/dev/null; then
    echo "ecr-refresh: error: run $bin: not found on this worker's PATH, or not executable"
    echo "ecr-refresh: hint: install ecr-refresh there, or set ECR_REFRESH_BIN in the worker's environment to its path"
    exit 127
fi
exec "$bin" %s </dev/null"""
PART = 100_000  # one environment variable holds at most 128 KiB
SUFFIXES = """amazonaws.com amazonaws.com.cn amazonaws.eu on.aws on.amazonwebservices.com.cn on.amazonwebservices.eu
c2s.ic.gov sc2s.sgov.gov cloud.adc-e.uk csp.hci.ic.gov""".split()  # of registries, in all partitions of AWS


def in_parts(name, text):
    """Returns the variables NAME, NAME_2 and so on. Secrets come as a list of parts: one that is cut is not masked."""
    parts = [text[at : at + PART] for at in range(0, len(text), PART)] if isinstance(text, str) else text
    return {name if n == 1 else "%s_%d" % (name, n): part for n, part in enumerate(parts or [""], 1)}


def read(text, how, otherwise):
    """Returns what how makes of JSON, or otherwise where it cannot: ecr-refresh reports what is wrong with it."""
    try:
        return how(json.loads(text))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return otherwise


def find(conn, connection_id):
    """Returns a connection, or None where it is missing, or cannot be: Airflow fails for a name that is no id."""
    is_id = isinstance(connection_id, str) and re.fullmatch(r"[\w.-]{1,200}", connection_id)
    return conn.get(connection_id) if is_id else None


def fields(conn, connection_id):
    """Returns a connection's fields, empty ones when it is missing: ecr-refresh then reports all that is missing."""
    c = find(conn, connection_id)
    return {name: str(getattr(c, name, None) or "") for name in "conn_type schema host port login password".split()}


def requested(variables):
    """Returns the environment that says what to refresh."""
    account, region = variables.get("ecr_aws_account", ""), variables.get("ecr_aws_region_name", "")
    targets = in_parts("AIRFLOW_VAR_ECR_TARGETS", variables.get("ecr_targets", ""))
    return {"AIRFLOW_VAR_ECR_AWS_ACCOUNT": account, "AIRFLOW_VAR_ECR_AWS_REGION_NAME": region, **targets}


def asked(variables, params):
    """Returns the ids of the connections that a run refreshes, each with its entry of ecr_targets or an empty one."""
    text = variables.get("ecr_targets", "").strip() or "[]"
    entries = read(text, lambda ts: {t["connection_id"]: dict(t) for t in ts}, None)
    names = [name.strip() for name in (params["connection_ids"] or "").split(",") if name.strip()]
    names = [] if entries is None else names or entries or ["docker_default"]
    return {n: entries.get(n, {}) for n in names if isinstance(n, str) and (n in entries or not entries)}


def hosts(conn, variables, params):
    """Returns the hosts of the connections without account and region: ecr-refresh derives both from the host. Whoever
    triggers a run names the connections, and all may see what it is given: no host of another type, and no login."""
    one = {"account": variables.get("ecr_aws_account", ""), "region": variables.get("ecr_aws_region_name", "")}
    entries = {name: entry or one for name, entry in asked(variables, params).items()}
    lacking = [n for n, t in entries.items() if not (t.get("registry") or t.get("account") and t.get("region"))]
    of_docker = {n: c for n in lacking if (c := fields(conn, n))["conn_type"] == "docker"}
    return json.dumps({n: c["host"].split("@sha256:")[0].rpartition("@")[2] for n, c in of_docker.items()})


def reauth(c):
    """Returns what DockerHook reads of a connection's extra, and nothing else of that."""
    return read(c.extra, lambda e: {"reauth": e["reauth"]} if len(str(e["reauth"])) <= 5 else {}, {})


def is_ecr(c, suffix):
    """Reports whether a login may go where a connection says: to ECR, or to a host of the suffix that is declared."""
    form = r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\.([a-z0-9.-]+)|public\.ecr\.aws|ecr-public\.aws\.com"
    host = re.fullmatch(rf"(?:https://)?(?:{form})(?::443)?(?:/.*)?", str(c.host).lower())
    known = host and c.host.isascii() and host[1] in [None, suffix, *SUFFIXES]
    return known and c.conn_type == "docker" and str(c.port or 443) == "443"


def logins(conn, result, entries):
    """Returns, in parts, those connections of step 2's result that this run refreshes, as tasks see them, and the login
    of one that is_ecr. Whoever edits XComs chooses the result. ecr-refresh reports what is missing."""
    names = read(result.strip().rpartition("\n")[2], lambda r: {c["connection_id"]: c for c in r["connections"]}, ())
    by_login, parts, size = {}, [], PART
    for name in names:
        if name in entries and (c := find(conn, name)):
            entry = {"connection_id": name, "conn_type": str(c.conn_type), "host": c.host, "port": c.port, **reauth(c)}
            login = (c.login, c.password) if is_ecr(c, entries[name].get("partition_suffix")) else (None, None)
            by_login.setdefault(login, []).append(entry)
    for (login, password), connections in by_login.items():
        for at in range(0, len(connections), 100):
            text = json.dumps({"login": login, "password": password, "connections": connections[at : at + 100]})
            if size + len(text) > PART:
                parts, size = [*parts, []], 0
            parts[-1].append(text)
            size += len(text)
    return ["[%s]" % ",".join(part) for part in parts]


def as_text(result):
    """Returns a step's result as text, as DockerOperator hands it on; BashOperator has decoded it."""
    return result or "null" if isinstance(result, str) else json.dumps(result)


def environment(params, secrets, rest):
    """Returns the environment of a task. Secrets come first, and before Airflow 3.2 after a cover: its Rendered
    Template page cuts a long environment before it masks it, and would show the first part of a secret."""
    cover = {}
    if tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 2):
        from airflow.configuration import conf

        cover = {"ECR_REFRESH_COVER": " " * conf.getint("core", "max_templated_field_length")}
    # A wheel's binary lies beside this Python, whose folder need not be on the worker's PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), sysconfig.get_path("scripts")])
    return {
        **cover,
        **secrets,
        **rest,
        **({"PATH": path} if OPERATOR == "bash" else {}),
        **ENVIRONMENT,
        "ECR_REFRESH_CONNECTION_IDS": params["connection_ids"] or "",
        "ECR_REFRESH_DRY_RUN": str(params["dry_run"]),
        "ECR_REFRESH_LOG_FORMAT": "text",  # for StepLog
        "ECR_REFRESH_LOG_OUTPUT": "stdout",  # one stream: of two, either may have the last line
        "ECR_REFRESH_OPERATOR": OPERATOR,
        # Without it, bash takes Airflow's socket for a remote login and reads ~/.bashrc.
        **({"SHLVL": "1"} if OPERATOR == "bash" else {}),
    }


def extract_environment(variables, conn, params):
    """Returns the environment of step 1."""
    aws = fields(conn, AWS) if OPERATOR == "docker" else {}
    rest = {**requested(variables), "ECR_REFRESH_RECIPIENT": variables.get("ecr_refresh_recipient", "")}
    rest.update(in_parts("ECR_REFRESH_CONNECTION_HOSTS", hosts(conn, variables, params)))
    secrets = {"AWS_SECRET_ACCESS_KEY": aws["password"], "AWS_ACCESS_KEY_ID": aws["login"]} if aws else {}
    return environment(params, secrets, rest)


def update_environment(variables, conn, params, result):
    """Returns the environment of step 2."""
    api = {"ECR_REFRESH_AIRFLOW_" + name.upper(): value for name, value in fields(conn, AIRFLOW_API).items()}
    extra = getattr(find(conn, AIRFLOW_API), "extra", None)  # may have secrets: nothing else is taken of it
    api["ECR_REFRESH_AIRFLOW_GRANT_TYPE"] = read(extra, lambda e: str(e["grant_type"] or "")[:40], "")
    secrets = {
        "ECR_REFRESH_AIRFLOW_PASSWORD": api.pop("ECR_REFRESH_AIRFLOW_PASSWORD"),
        "ECR_REFRESH_PRIVATE_KEY": variables.get("ecr_refresh_private_key", ""),
        "ECR_REFRESH_AIRFLOW_TOKEN": variables.get("ecr_refresh_airflow_token", ""),
    }
    api["ECR_REFRESH_AIRFLOW_CONNECTION"] = AIRFLOW_API
    return environment(params, secrets, {**api, **in_parts("ECR_REFRESH_DOCUMENT", as_text(result))})


def test_environment(variables, conn, params, result):
    """Returns the environment of step 3."""
    secrets = in_parts("ECR_REFRESH_DOCKER_SECRETS", logins(conn, as_text(result), asked(variables, params)))
    return environment(params, secrets, {**requested(variables), **in_parts("ECR_REFRESH_DOCUMENT", as_text(result))})


class StepLog:
    """A task's log that records each line of ecr-refresh at its own level, and keeps the errors with their hints."""

    def __init__(self, log):
        self.log, self.level, self.errors = log, "info", {}  # a dict has each once, in order

    def __getattr__(self, name):
        return getattr(self.log, name)

    def info(self, message, *args, **more):
        # Both providers call it for each line of output.
        kind, _, text = str(args[0] if args else message).removeprefix("ecr-refresh: ").partition(": ")
        if kind != "hint":  # a hint belongs to the line before it
            self.level = kind if kind in ("error", "warning") else "info"
        if self.level == "error":
            self.errors[text if kind == "error" else "hint: " + text] = None
        getattr(self.log, self.level)(message, *args, **more)

    def __str__(self):
        return "\n".join(list(self.errors)[:40])


class StepOperator(Operator):
    """Runs a step. Both operators raise AirflowSkipException at skip_on_exit_code: here it fails the task for good."""

    step_log = None

    @property
    def log(self):
        return self.step_log or super().log

    def execute(self, context):
        self.step_log = log = StepLog(super().log)
        if OPERATOR == "bash":  # which logs by its hook
            self.subprocess_hook = type("StepHook", (SubprocessHook,), {"log": log})()
        try:
            return super().execute(context)
        except AirflowSkipException as error:
            raise AirflowFailException(str(log) or str(error).removesuffix(" Skipping.")) from None
        except AirflowException as error:
            raise AirflowException(str(log) or str(error)) from None


def step(task_id, priority_weight, env, doc_md, mounts=(), user=None):
    """Returns the task of one step. The last line of its output is its result."""
    command = task_id.replace("_", "-")
    common = {"task_id": task_id, "priority_weight": priority_weight, "doc_md": doc_md, "skip_on_exit_code": [2, 127]}
    if OPERATOR == "docker":
        return StepOperator(
            **common,
            image=IMAGE,
            command=[command],
            environment=env,
            network_mode="host",  # the instance's AWS role, and an Airflow on localhost
            mount_tmp_dir=False,
            auto_remove="force",  # or Docker would show the environment of a container that has ended
            mounts=[Mount(**mount) for mount in [*MOUNTS, *mounts]],  # provider 4.4.2 fails with plain dicts
            user=user,
        )
    return StepOperator(
        **common,
        bash_command=COMMAND % command,
        env=env,
        append_env=True,  # AWS_*, HTTPS_PROXY, DOCKER_HOST and the like come from the worker
        output_processor=json.loads,
    )


with DAG(
    dag_id=DAG_ID,
    description="Gets new Amazon ECR tokens, and updates the passwords of Airflow's Docker connections with them",
    doc_md=__doc__,
    schedule=SCHEDULE,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    # Without it, a task that waits for a missing pool would block every later run.
    dagrun_timeout=timedelta(minutes=30) + 3 * RETRIES * timedelta(seconds=RETRY_DELAY),
    tags=TAGS,
    on_failure_callback=resolve_name(ON_FAILURE_CALLBACK) if ON_FAILURE_CALLBACK else None,
    params={
        "connection_ids": Param(
            CONNECTION_IDS or None,
            type=["null", "string"],
            description="Connections to refresh, joined by commas; empty: all of ecr_targets, or docker_default",
        ),
        "dry_run": Param(False, type="boolean", description="Check everything, update nothing"),
    },
    user_defined_macros={f.__name__: f for f in (extract_environment, update_environment, test_environment)},
    render_template_as_native_obj=True,  # an environment is a dict
    default_args={
        "owner": OWNER,
        "queue": QUEUE,
        "pool": POOL,
        "retries": RETRIES,
        "retry_delay": timedelta(seconds=RETRY_DELAY),
        "execution_timeout": timedelta(minutes=3),
    },
):
    extract = step(
        "extract_ecr_token",
        priority_weight=5,
        env="{{ extract_environment(var.value, conn, params) }}",
        doc_md="""Gets a token from ECR for each registry, and verifies it with a login there. Reads the Variables
`ecr_aws_account` and `ecr_aws_region_name`, or `ecr_targets`, and the worker's AWS credentials (in a container:
connection `aws_default`). When it is red, look at these, and at the policy `ecr:GetAuthorizationToken`.""",
    )
    update = step(
        "update_docker_connection",
        priority_weight=5,
        env="{{ update_environment(var.value, conn, params, ti.xcom_pull(task_ids='extract_ecr_token')) }}",
        doc_md="""Verifies the token again, and updates the password of the Docker connections by Airflow's REST API.
Reads connection `airflow-api` and Variable `ecr_refresh_private_key`. When it is red, look at that connection, its
user's permissions, and the host of the Docker connection, which has kept its old password.""",
    )
    test = step(
        "test_docker_connection",
        priority_weight=3,
        env="{{ test_environment(var.value, conn, params, ti.xcom_pull(task_ids='update_docker_connection')) }}",
        doc_md="""Logs Docker in with the connections, as DockerOperator would. Reads them as tasks get them, and the
worker's Docker and `~/.docker/config.json`. When it is red, look at Docker, and at what overrides a connection:
`AIRFLOW_CONN_…`, a secrets backend. The password has been updated.""",
        mounts=[{"target": "/var/run/docker.sock", "source": SOCKET, "type": "bind"}],
        user=SOCKET_USER,
    )
    extract >> update >> test
