"""A file that is replaced whole: a reader sees the old content or the new one, never a part."""

import os
import tempfile
from pathlib import Path
from typing import Any


def replace_file(path: Path, content: Any, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write a file whole or not at all.

    Args:
        content: bytes, or what has their buffer.
        mode: rights of the file; by default a server under another user reads it.
        durable: have it on the disk before it gets its name, in case the machine stops.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, staging = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(staging, mode)
        os.replace(staging, path)
    finally:
        Path(staging).unlink(missing_ok=True)
