"""Time the parse of DAG files as Airflow does it: each parse is a child of a process that has loaded Airflow.

    parse.py RUNS FILE...

prints a JSON object of two lists of lists of seconds, one for each file; the files take turns. "task" is the parse at a
task's start. "processor" is that of the DAG processor, whose manager has imported Airflow's own modules that a file names
(airflow/dag_processing/processor.py, _pre_import_airflow_modules): those of the file itself are what is left.
"""

import gc
import importlib.util
import json
import os
import sys
import time

import airflow.dag_processing.manager  # noqa: F401 the process whose children parse
import airflow.dag_processing.processor  # noqa: F401
from airflow.utils.file import iter_airflow_imports


def parse(path):
    """Give the seconds that a child of this process takes for the file."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        begin = time.monotonic()
        spec = importlib.util.spec_from_file_location("dag_under_test", path)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        os.write(write, repr(time.monotonic() - begin).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        seconds = answer.read()
    os.waitpid(child, 0)
    return float(seconds)


def in_turn(runs, files):
    """Give the seconds of each file, after one parse of each that is not counted."""
    times = [[parse(path) for path in files] for _ in range(runs + 1)][1:]
    return list(zip(*times))


runs, files = int(sys.argv[1]), sys.argv[2:]
# Both executors and the manager freeze before they fork: a full collection in the child then passes over what Airflow has
# loaded (airflow/executors/local_executor.py, airflow/providers/celery/executors/celery_executor_utils.py).
gc.freeze()
task = in_turn(runs, files)
for path in files:
    for module in iter_airflow_imports(path):
        importlib.import_module(module)
gc.freeze()  # as the manager does again (airflow/dag_processing/manager.py)
print(json.dumps({"task": task, "processor": in_turn(runs, files)}))
