"""Names, texts and moments as DuckDB's SQL writes them."""

from datetime import datetime


def quoted(name: str) -> str:
    """A name as SQL's identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL's literal."""
    return "'" + text.replace("'", "''") + "'"


def utc(column: str) -> str:
    """A timestamp column in UTC, in microseconds."""
    return f"CAST({quoted(column)} AS TIMESTAMPTZ)"


def moment(at: datetime) -> str:
    """A moment as SQL's literal."""
    return f"TIMESTAMPTZ '{at.isoformat()}'"
