"""MLflow's database, asked before MLflow is: MLflow tries a database that refuses again and again, for minutes."""

from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from potluck.contract.errors import ServiceUnreachable, UsageError
from potluck.contract.secrets import masked

SECONDS = 5
TIMEOUTS = {
    "sqlite": "timeout",
    "postgresql": "connect_timeout",
    "mysql": "connect_timeout",
    "mssql": "timeout",
}
"""Database -> what its drivers call the seconds that a connection may take. MLflow knows these databases."""
LONGEST_REASON = 200


def check_database(tracking_uri: str) -> None:
    """Connect once, where the URI is a database's.

    Raises:
        ServiceUnreachable: it refuses, is none, or does not answer within seconds.
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
    """None where the URI is no database's: a server's, or a folder's."""
    backend = tracking_uri.partition(":")[0].partition("+")[0]
    if backend not in TIMEOUTS:
        return None
    try:
        return make_url(tracking_uri)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"MLFLOW_TRACKING_URI is no valid URL of a database: {error}") from None


def database_unreachable(tracking_uri: str, error: SQLAlchemyError) -> ServiceUnreachable:
    """What the database says, on one line."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()[0][:LONGEST_REASON]
    return ServiceUnreachable(
        f"MLflow at {masked(tracking_uri)} does not answer: its database says {said}; is MLFLOW_TRACKING_URI right?"
    )
