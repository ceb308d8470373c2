"""Every error that Potluck raises on purpose.

PotluckError                    exit code 1
├── UsageError                  exit code 2: the command or a setting is wrong
├── DataError                   a source file or table does not hold what was declared
├── DefinitionError             the feature repo contradicts itself or the rules
├── MissingStepError            an earlier command has to run first
├── ServiceUnreachable          the server or the store behind a command does not answer
├── BundleError                 a bundle is corrupt or does not do what it promises
├── NewerFormat                 a newer Potluck wrote this state; nothing is done with it
├── Refused                     exit code 65: a check said no
├── Locked                      exit code 75: another run holds the lock
└── RequestError                an HTTP answer other than 200; carries status and error_code
    ├── PathNotFound            404
    ├── MethodNotAllowed        405
    ├── OtherHttpError          whatever else the router refuses a request with
    ├── SchemaValidation        422
    ├── EntityNotFound          404
    ├── ServiceNotFound         404
    ├── BatchTooLarge           413
    ├── BodyTooLarge            413
    ├── FeatureStoreUnavailable 503
    ├── ModelNotReady           503
    ├── Overloaded              429
    ├── MalformedRequest        400
    ├── RequestTimeout          408
    ├── UriTooLong              414
    ├── HeadersTooLarge         431
    ├── TooManyConnections      503
    └── CallerLeft              499: nobody sees it but the metrics

A message says what was expected, what came and what to do; a request error never holds a value of
the request.
"""

from dataclasses import dataclass
from typing import ClassVar


class PotluckError(Exception):
    """Base of the tree above."""

    exit_code: ClassVar[int] = 1


class UsageError(PotluckError):
    """The command line or a setting is wrong."""

    exit_code = 2


class DataError(PotluckError):
    """A source file or table does not hold what was declared."""


class DefinitionError(PotluckError):
    """The feature repo contradicts itself or the rules that Potluck adds to Feast's."""


class MissingStepError(PotluckError):
    """An earlier command has to run first; the message names it."""


class ServiceUnreachable(PotluckError):
    """The server or the store behind a command does not answer."""


class BundleError(PotluckError):
    """A bundle is corrupt or does not do what it promises."""


class NewerFormat(PotluckError):
    """A newer Potluck wrote this state; nothing is done with it."""


class Refused(PotluckError):
    """A check said no; what was there before stays."""

    exit_code = 65


class Locked(PotluckError):
    """Another run holds the lock."""

    exit_code = 75


@dataclass(frozen=True)
class Detail:
    """One reason of a refused request: the field's name (empty for the whole body) and what was
    expected."""

    field: str
    reason: str


class RequestError(PotluckError):
    """An HTTP answer other than 200."""

    status: ClassVar[int] = 500
    error_code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, details: tuple[Detail, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class PathNotFound(RequestError):
    """No call has this path."""

    status = 404
    error_code = "NOT_FOUND"


class MethodNotAllowed(RequestError):
    """A call has this path, by another method."""

    status = 405
    error_code = "METHOD_NOT_ALLOWED"


class OtherHttpError(RequestError):
    """The router refused the request with another status."""

    error_code = "HTTP_ERROR"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status  # type: ignore[misc] # of this one error, not of its class


class SchemaValidation(RequestError):
    """The body or the id does not fit the service's contract."""

    status = 422
    error_code = "SCHEMA_VALIDATION"


class EntityNotFound(RequestError):
    """The online store knows no such entity."""

    status = 404
    error_code = "ENTITY_NOT_FOUND"


class ServiceNotFound(RequestError):
    """No such service here."""

    status = 404
    error_code = "SERVICE_NOT_FOUND"


class BatchTooLarge(RequestError):
    """More rows or ids than one call may carry."""

    status = 413
    error_code = "BATCH_TOO_LARGE"


class BodyTooLarge(RequestError):
    """More bytes than one call may carry."""

    status = 413
    error_code = "BODY_TOO_LARGE"


class FeatureStoreUnavailable(RequestError):
    """The online store does not answer in time, or answers nonsense for this entity."""

    status = 503
    error_code = "FEATURE_STORE_UNAVAILABLE"


class ModelNotReady(RequestError):
    """The service is known, but nothing that could answer is loaded or published yet."""

    status = 503
    error_code = "MODEL_NOT_READY"


class Overloaded(RequestError):
    """More requests in flight than the server takes."""

    status = 429
    error_code = "OVERLOADED"


class MalformedRequest(RequestError):
    """The bytes are no HTTP/1.1, or could be read in two ways."""

    status = 400
    error_code = "MALFORMED_REQUEST"


class RequestTimeout(RequestError):
    """The request did not come whole in time."""

    status = 408
    error_code = "REQUEST_TIMEOUT"


class UriTooLong(RequestError):
    """The request's first line is longer than a head may be."""

    status = 414
    error_code = "URI_TOO_LONG"


class HeadersTooLarge(RequestError):
    """The request's head is larger than the server takes."""

    status = 431
    error_code = "HEADERS_TOO_LARGE"


class TooManyConnections(RequestError):
    """The worker keeps as many connections open as it may."""

    status = 503
    error_code = "TOO_MANY_CONNECTIONS"


class CallerLeft(RequestError):
    """The connection was closed before the body was whole."""

    status = 499
    error_code = "CALLER_LEFT"
