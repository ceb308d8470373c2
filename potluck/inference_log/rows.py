"""A row of the inference log as the worker hands it over: what came, what was looked up, what left.

A worker knows all of it when it answers, and writes it as it is. Names, statuses and values on
demand are worked out by the decoder, outside the server.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from potluck.contract.fields import Literals

Replies = Sequence[Sequence[bytes | None]]
"""For each entity of a record what the online store answered: timestamps and values as bytes."""


class LoggedRow(NamedTuple):
    """One answered row."""

    service: str
    bundle: str | None
    """Digest of the bundle that scored it; None for a look-up."""
    model_version: str | None
    served_by: str
    request_id: str
    row: int | None
    """Its place in a batch; None where it was the request's only one."""
    request_time: float
    """Seconds since 1970; the time that defaults such as `request_time.month` stand for."""
    latency: float
    """Seconds from the request's head to its answer."""
    record: Mapping[str, Literals | None] | None
    """The checked record, or of a look-up its key; None where the check refused it."""
    replies: Replies | None = None
    looked_up_at: float | None = None
    """Seconds since 1970; the time by which a stored value's age was judged."""
    prediction: Literals | None = None
    probabilities: Mapping[str, float] | None = None
    overridden: Sequence[str] = ()
    not_found: Sequence[str] = ()
    marks: Sequence[tuple[str, str]] = ()
    """Mark (`unseen`, `imputed`) and column."""
    error_code: str | None = None
    error_message: str | None = None
    run_id: str | None = None
    """Of a look-up: the published run."""

    def as_tuple(self) -> tuple[Any, ...]:
        """Return the row as the plain tuple that `frames.pack_rows` takes."""
        return tuple(self)
