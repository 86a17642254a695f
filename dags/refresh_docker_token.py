"""Refreshes the Amazon ECR password of Airflow's Docker connections.

Each task runs one step of `ecr-refresh` and hands its result, JSON with an encrypted token, to the next one by XCom.
With `OPERATOR = "bash"` the binary is on the worker's PATH (or ECR_REFRESH_BIN names it); with `OPERATOR = "docker"`
each step runs in a container of `IMAGE` (`make image`, `docker load`). Both need:

- Variables `ecr_aws_account` and `ecr_aws_region_name`, or for many registries Variable `ecr_targets`
- Connection `airflow-api` (HTTP): this Airflow's REST API, and a user who may read and edit connections
- Connection `docker_default` (Docker): its host is the registry's bare name, its password is what this DAG updates
- Pool `systemqueue`, and with Celery a worker that serves the queue of that name
- In containers, or with several workers: Variables `ecr_refresh_recipient` and `ecr_refresh_private_key` (`keygen`)
- Variable `ecr_refresh_airflow_token` in place of login and password, where Airflow issues API tokens

A container has nothing of the worker's environment and files: AWS credentials are those of connection `aws_default`,
else the instance's role, and the test step does not see the worker's `~/.docker/config.json`.

Triggered manually, the DAG asks for `connection_ids`, joined by commas, and for `dry_run`: check all, update nothing.

The last lines of a failed task's log say what failed and what to do.
"""

import json
from datetime import datetime, timedelta, timezone

import airflow
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

# --- Settings ---------------------------------------------------------------------------------------------------------
OPERATOR = "bash"  # "bash" or "docker"
DAG_ID = "refresh_docker_token_v4"
# A token is valid for twelve hours: with a run every six hours, one may fail before it expires.
SCHEDULE = "55 5,11,17,23 * * *"
CONNECTION_IDS = ""  # to refresh, joined by commas; empty: all of Variable ecr_targets, or docker_default
AIRFLOW_API = "airflow-api"
QUEUE = "systemqueue"
POOL = "systemqueue"
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
    from airflow.providers.docker.operators.docker import DockerOperator
    from docker.types import Mount
elif OPERATOR != "bash":
    raise ValueError('OPERATOR is %r, neither "bash" nor "docker"' % OPERATOR)

PART = 100_000  # one environment variable holds at most 128 KiB


def in_parts(name, text):
    """Returns the variables NAME, NAME_2 and so on. Secrets come as a list of parts: one that is cut is not masked."""
    parts = [text[at : at + PART] for at in range(0, len(text), PART)] if isinstance(text, str) else text
    return {name if n == 1 else "%s_%d" % (name, n): part for n, part in enumerate(parts or [""], 1)}


def fields(conn, connection_id):
    """Returns a connection's fields, empty ones when it is missing: ecr-refresh then reports all that is missing."""
    c = conn.get(connection_id)
    names = ("conn_type", "schema", "host", "port", "login", "password")
    return {name: str(getattr(c, name, None) or "") for name in names}


def hosts(conn, account, region, targets, connection_ids):
    """Returns the hosts of the connections without account and region: ecr-refresh derives both from the host."""
    try:
        entries = json.loads(targets or "[]")
        names = [t["connection_id"] for t in entries if not (t.get("registry") or t.get("account") and t.get("region"))]
    except (ValueError, TypeError, KeyError, AttributeError):  # ecr-refresh reports what is wrong with it
        return "{}"
    if not entries and not (account and region):
        names = [name.strip() for name in (connection_ids or "docker_default").split(",")]
    return json.dumps({name: fields(conn, name)["host"] for name in names})


def logins(conn, result):
    """Returns, in parts, the connections of step 2's result as tasks see them; ecr-refresh reports a missing one."""
    try:
        published = json.loads(result.splitlines()[-1]).get("connections", [])
    except (ValueError, AttributeError):  # null, or cut by a Docker provider before 4.5.1: ecr-refresh reports that
        published = []
    by_login, parts, size = {}, [], PART
    for name in [c["connection_id"] for c in published]:
        if c := conn.get(name):
            entry = {"connection_id": name, "host": c.host, "port": c.port}
            by_login.setdefault((c.login, c.password), []).append(entry)
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
    return {
        **cover,
        **secrets,
        **rest,
        **ENVIRONMENT,
        "ECR_REFRESH_CONNECTION_IDS": params["connection_ids"] or "",
        "ECR_REFRESH_DRY_RUN": str(params["dry_run"]),
        "ECR_REFRESH_LOG_OUTPUT": "stdout",  # one stream: of two, either may have the last line
        "ECR_REFRESH_OPERATOR": OPERATOR,
        # Without it, bash takes Airflow's socket for a remote login and reads ~/.bashrc.
        **({"SHLVL": "1"} if OPERATOR == "bash" else {}),
    }


def extract_environment(variables, conn, params):
    """Returns the environment of step 1."""
    names = ("ecr_aws_account", "ecr_aws_region_name", "ecr_targets")
    account, region, targets = (variables.get(name, "") for name in names)
    aws = fields(conn, AWS) if OPERATOR == "docker" else {}
    rest = {
        "AIRFLOW_VAR_ECR_AWS_ACCOUNT": account,
        "AIRFLOW_VAR_ECR_AWS_REGION_NAME": region,
        "ECR_REFRESH_RECIPIENT": variables.get("ecr_refresh_recipient", ""),
        **in_parts("AIRFLOW_VAR_ECR_TARGETS", targets),
        **in_parts("ECR_REFRESH_CONNECTION_HOSTS", hosts(conn, account, region, targets, params["connection_ids"])),
    }
    secrets = {"AWS_SECRET_ACCESS_KEY": aws["password"], "AWS_ACCESS_KEY_ID": aws["login"]} if aws else {}
    return environment(params, secrets, rest)


def update_environment(variables, conn, params, result):
    """Returns the environment of step 2."""
    api = {"ECR_REFRESH_AIRFLOW_" + name.upper(): value for name, value in fields(conn, AIRFLOW_API).items()}
    secrets = {
        "ECR_REFRESH_AIRFLOW_PASSWORD": api.pop("ECR_REFRESH_AIRFLOW_PASSWORD"),
        "ECR_REFRESH_PRIVATE_KEY": variables.get("ecr_refresh_private_key", ""),
        "ECR_REFRESH_AIRFLOW_TOKEN": variables.get("ecr_refresh_airflow_token", ""),
    }
    return environment(params, secrets, {**api, **in_parts("ECR_REFRESH_DOCUMENT", as_text(result))})


def test_environment(conn, params, result):
    """Returns the environment of step 3."""
    secrets = in_parts("ECR_REFRESH_DOCKER_SECRETS", logins(conn, as_text(result)))
    return environment(params, secrets, in_parts("ECR_REFRESH_DOCUMENT", as_text(result)))


def step(task_id, priority_weight, env, mounts=(), user=None):
    """Returns the task of one step. The last line of its output is its result."""
    command = task_id.replace("_", "-")
    if OPERATOR == "docker":
        return DockerOperator(
            task_id=task_id,
            priority_weight=priority_weight,
            image=IMAGE,
            command=[command],
            environment=env,
            network_mode="host",  # the instance's AWS role, and an Airflow on localhost
            mount_tmp_dir=False,
            auto_remove="force",  # or Docker would show the environment of a container that has ended
            mounts=[Mount(**mount) for mount in [*MOUNTS, *mounts]],  # provider 4.4.2 fails with plain dicts
            user=user,
        )
    return BashOperator(
        task_id=task_id,
        priority_weight=priority_weight,
        bash_command='exec "${ECR_REFRESH_BIN:-ecr-refresh}" %s </dev/null' % command,
        env=env,
        append_env=True,  # AWS_*, HTTPS_PROXY, DOCKER_HOST and the like come from the worker
        output_processor=json.loads,
    )


with DAG(
    dag_id=DAG_ID,
    description="Refresh Docker ECR token using JWT authentication%s" % (", in containers" * (OPERATOR == "docker")),
    doc_md=__doc__,
    schedule=SCHEDULE,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),  # or a task that waits for a missing pool blocks every later run
    tags=["airflow", "docker", "ecr"],
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
    # on_failure_callback=SmtpNotifier(to="platform@example.com"),  # from airflow.providers.smtp.notifications.smtp
    default_args={
        "queue": QUEUE,
        "pool": POOL,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=3),
    },
):
    extract = step("extract_ecr_token", priority_weight=5, env="{{ extract_environment(var.value, conn, params) }}")
    update = step(
        "update_docker_connection",
        priority_weight=5,
        env="{{ update_environment(var.value, conn, params, ti.xcom_pull(task_ids='extract_ecr_token')) }}",
    )
    test = step(
        "test_docker_connection",
        priority_weight=3,
        env="{{ test_environment(conn, params, ti.xcom_pull(task_ids='update_docker_connection')) }}",
        mounts=[{"target": "/var/run/docker.sock", "source": SOCKET, "type": "bind"}],
        user=SOCKET_USER,
    )
    extract >> update >> test
