"""The three steps as a DAG of Python tasks, with the imports at its top as the article has them: what `make bench` compares with."""

import os
import sys
from datetime import datetime, timezone

import boto3  # noqa: F401
import docker  # noqa: F401
import requests  # noqa: F401
from airflow.sdk import DAG, Connection, task

sys.path.insert(0, os.environ.get("BENCH_FOLDER", os.path.dirname(__file__)))
import baseline  # noqa: E402

with DAG("bench_python", schedule="55 5,17 * * *", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False, max_active_runs=1):

    @task
    def extract():
        baseline.extract("/tmp/bench-token.json")

    @task
    def update():
        api = Connection.get("airflow-api")
        for name in ("schema", "host", "port", "login", "password"):
            os.environ["ECR_REFRESH_AIRFLOW_" + name.upper()] = str(getattr(api, name))
        baseline.update("/tmp/bench-token.json", "/tmp/bench-published.json")

    @task
    def test():
        conn = Connection.get("docker_default")
        for name in ("host", "login", "password"):
            os.environ["ECR_REFRESH_DOCKER_" + name.upper()] = getattr(conn, name)
        baseline.test("/tmp/bench-published.json")

    extract() >> update() >> test()
