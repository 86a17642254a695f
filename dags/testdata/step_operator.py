"""Prints what a step's task logs and how it ends, for each exit code of its step.

    step_operator.py FILE

A stand-in of the operator logs lines as Airflow's do, and ends as they do: with skip_on_exit_code.
"""

import sys

path = sys.argv.pop()
import environments  # noqa: E402: it reads the arguments

LINES = """ecr-refresh: ECR returned a token
ecr-refresh: warning: a clock is wrong
ecr-refresh: hint: set it
ecr-refresh: error: one
ecr-refresh: hint: do this
ecr-refresh: error: two: with a colon
ecr-refresh: hint: do this
{"version":1,"error: ":"hint: "}"""


class Log:
    """Prints each record with its level."""

    def __getattr__(self, level):
        return lambda message, *args: print("  %s: %s" % (level, message % args))


def execute(self, code):
    """Logs a line as both operators do, and ends with an exit code."""
    for line in LINES.splitlines() if code in (0, 1, 2) else ["a line of a Go panic"]:
        self.log.info("%s", line)
    exceptions = sys.modules["airflow.sdk.exceptions"]
    if code in self.arguments["skip_on_exit_code"]:
        raise exceptions.AirflowSkipException("Bash command returned exit code %d. Skipping." % code)
    if code:
        raise exceptions.AirflowException("Bash command failed: %d." % code)
    return line


task = environments.load(path, docker=True)[1]["extract_ecr_token"]
(operator,) = type(task).__bases__
operator.log, operator.execute = Log(), execute
for code in (0, 1, 2, 99, 127, 143):
    print("exit code", code)
    try:
        print("  returned", task.execute(code))
    except Exception as error:
        print("  raised %s: %r" % (type(error).__name__, str(error)))
