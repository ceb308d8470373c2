"""A file that a verb writes: whole, or not at all."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from potluck.contract.errors import DataError, UsageError
from potluck.contract.files import replacing


def check_destination(path: Path, suffixes: Collection[str]) -> None:
    """Refuse a place that can't hold the file, before the work and not after it.

    Raises:
        UsageError: another kind of file, a folder that is missing, or something that is not a
            file.
    """
    if path.suffix not in suffixes:
        raise UsageError(f"expected a file that ends with {' or '.join(suffixes)}, got {path.name}")
    if not path.parent.is_dir():
        raise UsageError(
            f"expected a folder that exists, got {path.parent} for {path.name}; make it first"
        )
    if path.exists() and not path.is_file():
        raise UsageError(f"expected the name of a file, got {path}, which is something else")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"expected a folder that may be written to, got {path.parent}")


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a new file beside `path`, which takes its place when the block ends well.

    Where the block fails, what was there before stays.

    Raises:
        DataError: it can't be written: no right to, no space, a broken disk.
    """
    target = path.resolve()  # a link stays a link
    try:
        with replacing(target, suffix=target.suffix) as staging:
            yield staging
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(
            f"{path} can't be written: {reason}; what was there before is as it was"
        ) from error
