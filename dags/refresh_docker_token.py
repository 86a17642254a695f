"""Renew the ECR password of Airflow's Docker connection every six hours.

Each task runs one step of `ecr-refresh`; the steps hand each other a small JSON document by XCom, the token in it sealed.
Needs the binary on the worker's PATH (or ECR_REFRESH_BIN) and:

- Variables `ecr_aws_account` and `ecr_aws_region_name`
- Connection `airflow-api` (HTTP): this Airflow's REST API and a user that may read and edit connections
- Connection `docker_default` (Docker): host is the registry's bare name; its password is what this DAG renews
- Pool `systemqueue`, and with Celery a worker that serves the queue of that name
- For an Airflow that hands out API tokens, Variable `ecr_refresh_airflow_token` in place of login and password
- With several workers also the Variables `ecr_refresh_recipient` and `ecr_refresh_private_key` (`ecr-refresh keygen`)

Triggered by hand it asks for `connection_ids`, joined by commas, and for `dry_run`: check all, publish nothing.

A red task says in the last lines of its log what is wrong and what to do.
"""

import json
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

CONNECTION_IDS = "docker_default"  # connections of that account and region to renew, joined by commas
AIRFLOW_API = "airflow-api"
QUEUE = POOL = "systemqueue"
# A token lives twelve hours: every six hours leaves a spare run before it dies.
SCHEDULE = "55 5,11,17,23 * * *"


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
    """Render what a step handed on."""
    return "{{ ti.xcom_pull(task_ids='%s') | tojson }}" % task_id


def step(task_id, priority_weight, env):
    """Run one step as a task. Its last line of output is its result."""
    return BashOperator(
        task_id=task_id,
        priority_weight=priority_weight,
        bash_command='exec "${ECR_REFRESH_BIN:-ecr-refresh}" %s </dev/null' % task_id.replace("_", "-"),
        env={
            **env,  # secrets first: Airflow before 3.2 cuts a long env before it masks it
            "ECR_REFRESH_CONNECTION_IDS": "{{ chosen(params.connection_ids) }}",
            "ECR_REFRESH_DRY_RUN": "{{ params.dry_run }}",
            "ECR_REFRESH_LOG_OUTPUT": "stdout",
            "SHLVL": "1",  # or bash takes Airflow's socket for a remote login and reads ~/.bashrc
        },
        append_env=True,  # AWS_*, HTTPS_PROXY, DOCKER_HOST and the like come from the worker
        output_processor=json.loads,
    )


with DAG(
    dag_id="refresh_docker_token_v4",
    description="Refresh Docker ECR token using JWT authentication",
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
    )
    extract >> update >> test
