"""Time the parse of DAG files as the DAG processor does it: what its manager has
loaded is there, and each parse is a child of that process.

    parse.py RUNS FILE...      prints one JSON list of lists of seconds, one for each file; the files take turns
"""

import importlib.util
import json
import os
import sys
import time

import airflow.dag_processing.manager  # noqa: F401 the process whose children parse
import airflow.dag_processing.processor  # noqa: F401


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


runs, files = int(sys.argv[1]), sys.argv[2:]
times = [[parse(path) for path in files] for _ in range(runs + 1)][1:]
print(json.dumps(list(zip(*times))))
