"""Reach MLflow, or say in our own words why it can't be reached.

Its database is asked before MLflow is: MLflow goes on trying a database that refuses for minutes.
"""

import contextlib
from collections.abc import Iterator

from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from potluck.contract.errors import ServiceUnreachable, UsageError
from potluck.contract.home import make_home
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings

SECONDS = 5
TIMEOUTS = {
    "sqlite": "timeout",
    "postgresql": "connect_timeout",
    "mysql": "connect_timeout",
    "mssql": "timeout",
}
"""Database -> what its drivers call the seconds that a connection may take.

These are the databases that MLflow knows.
"""
LONGEST_REASON = 200


@contextlib.contextmanager
def reaching_mlflow(settings: Settings) -> Iterator[None]:
    """Turn MLflow's errors into ours while the block runs.

    Raises:
        ServiceUnreachable: it does not answer, or refuses.
        UsageError: its URL names no database that can be reached from here.
    """
    try:
        make_home(settings.home)
        check_database(settings.tracking_uri)
        yield
    except SQLAlchemyError as error:
        raise database_unreachable(settings.tracking_uri, error) from error
    except MlflowException as error:
        said = short_reason(masked(str(error)))
        where = masked(settings.tracking_uri)
        raise ServiceUnreachable(
            f"MLflow at {where} does not answer as expected: {said}"
        ) from error


def short_reason(error: object) -> str:
    """Return the first line of what an error says, at most `LONGEST_REASON` characters of it."""
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0][:LONGEST_REASON]


def check_database(tracking_uri: str) -> None:
    """Connect once, where the URI names a database.

    Raises:
        ServiceUnreachable: it refuses, is no database, or does not answer within seconds.
        UsageError: the URL can't be read, or names a driver that is not installed.
    """
    url = database_url(tracking_uri)
    if url is None:
        return
    options = {TIMEOUTS[url.get_backend_name()]: SECONDS}
    try:
        engine = create_engine(url, connect_args=options, poolclass=NullPool)
        inspect(engine).get_table_names()
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UsageError(
            f"MLFLOW_TRACKING_URI names a database whose driver is not installed: {error}; "
            "name one that is, as in postgresql+psycopg://…"
        ) from None
    except SQLAlchemyError as error:
        raise database_unreachable(tracking_uri, error) from error


def database_url(tracking_uri: str) -> URL | None:
    """Read the URI of a database; None where the URI is a server's, or a folder's."""
    backend = tracking_uri.partition(":")[0].partition("+")[0]
    if backend not in TIMEOUTS:
        return None
    try:
        return make_url(tracking_uri)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"MLFLOW_TRACKING_URI is no valid URL of a database: {error}") from None


def database_unreachable(tracking_uri: str, error: SQLAlchemyError) -> ServiceUnreachable:
    """Make the error of a database that does not answer, with what it says on one line."""
    said = short_reason(getattr(error, "orig", None) or error)
    return ServiceUnreachable(
        f"MLflow at {masked(tracking_uri)} does not answer: its database says {said}; "
        "is MLFLOW_TRACKING_URI right?"
    )
