"""The nightly run as an Airflow 3 DAG: it calls the command, and knows its exit codes.

Put it into the DAGs folder of workers that have the batch installation and the home.
POTLUCK_COMMAND names the command where it is not on PATH; POTLUCK_HOME, REDIS_URL and the rest come
from the worker's environment.
"""

import os
import subprocess
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task

try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # where it lay in the first releases of Airflow 3
    from airflow.exceptions import AirflowFailException

REFUSED, LOCKED = 65, 75


def run_nightly(as_of: str) -> None:
    """Run the command to its end.

    A run of one due time has one as-of date, however often it is tried.
    """
    command = [os.environ.get("POTLUCK_COMMAND", "potluck"), "nightly", "--as-of", as_of]
    exit_code = subprocess.run(command, check=False).returncode
    if exit_code == REFUSED:
        raise AirflowFailException(
            "refused by verification; the last published run stays, and a retry would not help"
        )
    if exit_code == LOCKED:
        raise RuntimeError("another run of this home is at work; trying again")
    if exit_code != 0:
        raise RuntimeError(
            f"`{' '.join(command)}` ended with exit code {exit_code}; its log is above"
        )


@dag(
    dag_id="potluck_nightly",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 4,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=45),
    },
    tags=["potluck"],
    doc_md=__doc__,
)
def potluck_nightly() -> None:
    """One task; `run_after` is the due time, or the moment at which somebody started the run."""
    task(task_id="nightly")(run_nightly)("{{ dag_run.run_after.isoformat() }}")


potluck_nightly()
