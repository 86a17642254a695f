"""Three tasks that do nothing: what Airflow itself takes for a run."""

from datetime import datetime, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("bench_floor", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False, max_active_runs=1):
    one, two, three = (BashOperator(task_id=name, bash_command="true") for name in ("one", "two", "three"))
    one >> two >> three
