"""Renew the ECR password of Airflow's Docker connection, each step in a container of its own.

The DAG of `refresh_docker_token.py` with DockerOperator: nothing is installed on the workers but the image. The steps hand
each other a small JSON document by XCom, the token in it sealed. Needs the image (`make image`, `docker load`) and:

- Variables `ecr_aws_account` and `ecr_aws_region_name`, or for many registries Variable `ecr_targets`
- Variables `ecr_refresh_recipient` and `ecr_refresh_private_key` (`ecr-refresh keygen`): two containers share nothing
- Connection `airflow-api` (HTTP): this Airflow's REST API and a user that may read and edit connections
- Connection `docker_default` (Docker): host is the registry's bare name; its password is what this DAG renews
- Pool `systemqueue`, and with Celery a worker that serves the queue of that name
- For an Airflow that hands out API tokens, Variable `ecr_refresh_airflow_token` in place of login and password

A container has nothing of the worker's environment and files: AWS credentials are those of connection `aws_default`, else
the instance's role, and the test step does not see the worker's `~/.docker/config.json`.

Triggered by hand it asks for `connection_ids`, joined by commas, and for `dry_run`: check all, publish nothing.

A red task says in the last lines of its log what is wrong and what to do.
"""

import json
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import DAG, Param
from docker.types import Mount

# Not from a registry whose password this DAG renews: an expired one would lock the DAG out of its own cure. For the
# same reason docker_conn_id stays unset: with it, every task logs in first.
IMAGE = "ecr-refresh:latest"
CONNECTION_IDS = ""  # to renew, joined by commas; empty: all of Variable ecr_targets, or docker_default
AIRFLOW_API = "airflow-api"
QUEUE = POOL = "systemqueue"
SCHEDULE = None  # "55 5,11,17,23 * * *", once refresh_docker_token_v4 no longer does it

# For all containers, such as "HTTPS_PROXY": "http://proxy:3128", or "ECR_REFRESH_CA_FILE": "/ca.pem" with its Mount.
ENVIRONMENT = {}
MOUNTS = []
# AWS credentials of step 1: login and password of this connection. Where it is missing or has none, the instance's role,
# which a container reaches on the host's network.
AWS = "aws_default"

# The Engine that step 3 logs in with. Its socket is closed to the image's own user; "65532:<gid of group docker>" is
# enough where `stat -c %g /var/run/docker.sock` names such a group. Whoever holds the socket is root on that host.
SOCKET = "/var/run/docker.sock"
SOCKET_USER = "0:0"

# One variable of an environment holds 128 KiB: a longer text goes on in NAME_2, NAME_3 and so on.
PART = 100_000


def in_parts(name, parts):
    """Give the variables of an environment for the parts of a long text."""
    return {name if n == 1 else "%s_%d" % (name, n): part for n, part in enumerate(parts or [""], 1)}


def cut(text):
    """Cut a long text that is no secret: half a secret would not be masked."""
    return [text[at : at + PART] for at in range(0, len(text), PART)]


def fields(conn, connection_id):
    """Give a connection's fields; empty ones when it is missing, so that ecr-refresh can name all that is missing at once."""
    c = conn.get(connection_id)
    names = ("conn_type", "schema", "host", "port", "login", "password")
    return {name: str(getattr(c, name, None) or "") for name in names}


def hosts(conn, account, region, targets, connection_ids):
    """Give the hosts of the connections whose account and region nobody declared: ecr-refresh reads them there."""
    try:
        declared = json.loads(targets or "[]")
        lacking = [t["connection_id"] for t in declared if not (t.get("registry") or t.get("account") and t.get("region"))]
    except (ValueError, TypeError, KeyError, AttributeError):  # ecr-refresh says what is wrong with it
        return "{}"
    if not declared and not (account and region):
        lacking = [name.strip() for name in (connection_ids or "docker_default").split(",")]
    return json.dumps({name: fields(conn, name)["host"] for name in lacking})


def handed_over(conn, document):
    """Give the connections as tasks see them, for step 3 to log in with. A missing one is left out, for it to name."""
    logins, parts, size = {}, [], PART
    for name in [c["connection_id"] for c in (document or {}).get("connections", [])]:
        c = conn.get(name)
        if c:
            logins.setdefault((c.login, c.password), []).append({"connection_id": name, "host": c.host, "port": c.port})
    for (login, password), connections in logins.items():
        for at in range(0, len(connections), 100):
            text = json.dumps({"login": login, "password": password, "connections": connections[at : at + 100]})
            if size + len(text) > PART:
                parts, size = [*parts, []], 0
            parts[-1].append(text)
            size += len(text)
    return ["[%s]" % ",".join(part) for part in parts]


def environment(params, secrets, rest):
    """Give a step's environment, as text. Secrets come first, and before Airflow 3.2 behind a cover: its Rendered Template
    page cuts a long environment before it masks it, and would show the first part of a secret."""
    cover = {}
    if tuple(map(int, version("apache-airflow-core").split(".")[:2])) < (3, 2):
        from airflow.configuration import conf

        cover = {"ECR_REFRESH_COVER": " " * conf.getint("core", "max_templated_field_length")}
    return {
        **cover,
        **secrets,
        **rest,
        **ENVIRONMENT,
        "ECR_REFRESH_CONNECTION_IDS": params["connection_ids"] or "",
        "ECR_REFRESH_DRY_RUN": str(params["dry_run"]),
        "ECR_REFRESH_LOG_OUTPUT": "stdout",  # of two streams the last line may be either's
    }


def extract_environment(variables, conn, params):
    """Give the environment of step 1."""
    account, region = variables.get("ecr_aws_account", ""), variables.get("ecr_aws_region_name", "")
    targets = variables.get("ecr_targets", "")
    aws = fields(conn, AWS)
    return environment(
        params,
        {"AWS_SECRET_ACCESS_KEY": aws["password"], "AWS_ACCESS_KEY_ID": aws["login"]},
        {
            "AIRFLOW_VAR_ECR_AWS_ACCOUNT": account,
            "AIRFLOW_VAR_ECR_AWS_REGION_NAME": region,
            "ECR_REFRESH_RECIPIENT": variables.get("ecr_refresh_recipient", ""),
            **in_parts("AIRFLOW_VAR_ECR_TARGETS", cut(targets)),
            **in_parts("ECR_REFRESH_CONNECTION_HOSTS", cut(hosts(conn, account, region, targets, params["connection_ids"]))),
        },
    )


def update_environment(variables, conn, params, document):
    """Give the environment of step 2."""
    airflow = fields(conn, AIRFLOW_API)
    return environment(
        params,
        {
            "ECR_REFRESH_AIRFLOW_PASSWORD": airflow.pop("password"),
            "ECR_REFRESH_PRIVATE_KEY": variables.get("ecr_refresh_private_key", ""),
            "ECR_REFRESH_AIRFLOW_TOKEN": variables.get("ecr_refresh_airflow_token", ""),
        },
        {
            **{"ECR_REFRESH_AIRFLOW_" + name.upper(): value for name, value in airflow.items()},
            **in_parts("ECR_REFRESH_DOCUMENT", cut(document or "null")),
        },
    )


def decoded(document):
    """Give a document that is text. Of one that a Docker provider before 4.5.1 has cut, ecr-refresh says so."""
    try:
        return json.loads((document or "null").splitlines()[-1])
    except ValueError:
        return None


def test_environment(conn, params, document):
    """Give the environment of step 3."""
    return environment(
        params,
        in_parts("ECR_REFRESH_DOCKER_SECRETS", handed_over(conn, decoded(document))),
        in_parts("ECR_REFRESH_DOCUMENT", cut(document or "null")),
    )


def step(task_id, priority_weight, env, mounts=(), user=None):
    """Run one step as a task. Its last line of output is its result."""
    return DockerOperator(
        task_id=task_id,
        priority_weight=priority_weight,
        image=IMAGE,
        command=[task_id.replace("_", "-")],
        environment=env,
        network_mode="host",  # the instance's AWS role, and an Airflow on localhost
        mount_tmp_dir=False,
        auto_remove="force",  # an ended container's environment could be read
        mounts=[*MOUNTS, *mounts],
        user=user,
    )


with DAG(
    dag_id="refresh_docker_token_docker_v4",
    description="Refresh Docker ECR token using JWT authentication, in containers",
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
            description="Connections to renew, joined by commas; empty: all of Variable ecr_targets, or docker_default",
        ),
        "dry_run": Param(False, type="boolean", description="Check everything, publish nothing"),
    },
    user_defined_macros={
        "extract_environment": extract_environment,
        "update_environment": update_environment,
        "test_environment": test_environment,
    },
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
    extract = step(
        "extract_ecr_token",
        priority_weight=5,
        env="{{ extract_environment(var.value, conn, params) }}",
    )
    update = step(
        "update_docker_connection",
        priority_weight=5,
        env="{{ update_environment(var.value, conn, params, ti.xcom_pull(task_ids='extract_ecr_token')) }}",
    )
    test = step(
        "test_docker_connection",
        priority_weight=3,
        env="{{ test_environment(conn, params, ti.xcom_pull(task_ids='update_docker_connection')) }}",
        mounts=[Mount("/var/run/docker.sock", SOCKET, type="bind")],
        user=SOCKET_USER,
    )
    extract >> update >> test
