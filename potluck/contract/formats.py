"""The version that every state file and every key of state carries, as the field `format`.

It counts up when a reader of the version before would misread what is written; a field that such a
reader may pass over leaves it as it is. What carries none was written before there was one, and
counts as the first. A reader passes over fields that it does not know, and refuses a format that is
newer than its own.
"""

from typing import Annotated

from pydantic import AfterValidator

from potluck.contract.errors import NewerFormat

NEWEST = 1
"""That this version writes, and the newest that it reads."""


def known(number: int) -> int:
    """
    Raises:
        NewerFormat: a newer version wrote it. Pydantic lets this error through as it is.
    """
    if number > NEWEST:
        raise NewerFormat(
            f"expected a state of format {NEWEST} or earlier, found format {number}, which a newer "
            "Potluck wrote; upgrade Potluck"
        )
    return number


Format = Annotated[int, AfterValidator(known)]
