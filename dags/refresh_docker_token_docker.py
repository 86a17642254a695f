"""Renew the ECR password of Airflow's Docker connection, each step in a container of its own.

The DAG of `refresh_docker_token.py` with DockerOperator: nothing is installed on the workers but the image. The steps hand
each other a small JSON document by XCom, the token in it sealed. Needs the image (`make image`, `docker load`) and:

- Variables `ecr_aws_account` and `ecr_aws_region_name`
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
CONNECTION_IDS = "docker_default"  # connections of that account and region to renew, joined by commas
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


def variable(name):
    """Render a Variable; empty when it is missing, so that ecr-refresh can name all that is missing at once."""
    return "{{ var.value.get('%s', '') }}" % name


def field(connection_id, name):
    """Render one field of a connection; empty when the field or the connection is missing."""
    return "{{ (conn.get('%s') or {}).%s | default('', true) }}" % (connection_id, name)


def chosen(connection_ids):
    """Give the ids as they are. Before Airflow 3.2 the Rendered Template page would show part of a second password."""
    if "," in connection_ids and tuple(map(int, version("apache-airflow-core").split(".")[:2])) < (3, 2):
        raise ValueError("before Airflow 3.2 a run renews one connection: give one id, or deploy a copy of this DAG for each")
    return connection_ids


def handed_over(conn, connection_ids):
    """Give the connections as tasks see them, for step 3 to log in with. A missing one is left out, for it to name."""
    found = [(name, conn.get(name)) for name in map(str.strip, connection_ids.split(",")) if name]
    return json.dumps(
        [
            {"connection_id": name, "host": c.host, "port": c.port, "login": c.login, "password": c.password}
            for name, c in found
            if c
        ]
    )


def document(task_id):
    """Render what a step handed on: here it is text already."""
    return "{{ ti.xcom_pull(task_ids='%s') }}" % task_id


def step(task_id, priority_weight, env, mounts=(), user=None):
    """Run one step as a task. Its last line of output is its result."""
    return DockerOperator(
        task_id=task_id,
        priority_weight=priority_weight,
        image=IMAGE,
        command=[task_id.replace("_", "-")],
        environment={
            **env,  # secrets first: Airflow before 3.2 cuts a long environment before it masks it
            **ENVIRONMENT,
            "ECR_REFRESH_CONNECTION_IDS": "{{ chosen(params.connection_ids) }}",
            "ECR_REFRESH_DRY_RUN": "{{ params.dry_run }}",
            "ECR_REFRESH_LOG_OUTPUT": "stdout",  # of two streams the last line may be either's
        },
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
        "connection_ids": Param(CONNECTION_IDS, type="string", description="Connections to renew, joined by commas"),
        "dry_run": Param(False, type="boolean", description="Check everything, publish nothing"),
    },
    user_defined_macros={"chosen": chosen, "handed_over": handed_over},
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
        env={
            "AWS_SECRET_ACCESS_KEY": field(AWS, "password"),
            "AWS_ACCESS_KEY_ID": field(AWS, "login"),
            "AIRFLOW_VAR_ECR_AWS_ACCOUNT": variable("ecr_aws_account"),
            "AIRFLOW_VAR_ECR_AWS_REGION_NAME": variable("ecr_aws_region_name"),
            "ECR_REFRESH_RECIPIENT": variable("ecr_refresh_recipient"),
        },
    )
    update = step(
        "update_docker_connection",
        priority_weight=5,
        env={
            "ECR_REFRESH_AIRFLOW_PASSWORD": field(AIRFLOW_API, "password"),
            "ECR_REFRESH_PRIVATE_KEY": variable("ecr_refresh_private_key"),
            "ECR_REFRESH_AIRFLOW_TOKEN": variable("ecr_refresh_airflow_token"),
            "ECR_REFRESH_AIRFLOW_CONN_TYPE": field(AIRFLOW_API, "conn_type"),
            "ECR_REFRESH_AIRFLOW_SCHEMA": field(AIRFLOW_API, "schema"),
            "ECR_REFRESH_AIRFLOW_HOST": field(AIRFLOW_API, "host"),
            "ECR_REFRESH_AIRFLOW_PORT": field(AIRFLOW_API, "port"),
            "ECR_REFRESH_AIRFLOW_LOGIN": field(AIRFLOW_API, "login"),
            "ECR_REFRESH_DOCUMENT": document("extract_ecr_token"),
        },
    )
    test = step(
        "test_docker_connection",
        priority_weight=3,
        env={
            "ECR_REFRESH_DOCKER_SECRETS": "{{ handed_over(conn, params.connection_ids) }}",
            "ECR_REFRESH_DOCUMENT": document("update_docker_connection"),
        },
        mounts=[Mount("/var/run/docker.sock", SOCKET, type="bind")],
        user=SOCKET_USER,
    )
    extract >> update >> test
