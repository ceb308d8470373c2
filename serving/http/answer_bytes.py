"""The bytes of an answer: those of a hot call, and of a refusal before there is a request."""

from functools import cache
from http import HTTPStatus

from pydantic_core import to_json

from potluck.contract.errors import RequestError
from serving.http.answers import ASK_AGAIN, RETRY_AFTER, Body, error_body
from serving.http.edge import REQUEST_ID

Headers = list[tuple[bytes, bytes]]


def told(outcome: Body | RequestError, request_id: str) -> tuple[int, bytes]:
    """Status and body of an answer."""
    if isinstance(outcome, RequestError):
        return outcome.status, to_json({**error_body(outcome), "request_id": request_id})
    return 200, to_json(outcome)


def head_of(
    status: int, length: int, given: Headers, request_id: str, *, keep_alive: bool
) -> bytes:
    """An answer's head.

    Args:
        given: headers of every answer, such as the date.
    """
    return b"%b%bcontent-type: application/json\r\ncontent-length: %d\r\n%b: %b\r\n%b\r\n" % (
        status_line(status),
        b"".join([b"%b: %b\r\n" % header for header in given]),
        length,
        REQUEST_ID,
        request_id.encode(),
        b"" if keep_alive else b"connection: close\r\n",
    )


@cache
def status_line(status: int) -> bytes:
    """With the header that such answers alone have."""
    line = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
    if status in ASK_AGAIN:
        line += b"".join([f"{name}: {value}\r\n".encode() for name, value in RETRY_AFTER.items()])
    return line
