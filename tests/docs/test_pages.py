"""The docs print what happens: every command of a page is run, and every output compared."""

import shutil
import socket
import tempfile
from pathlib import Path

from pages import Shell, follow

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_bring_your_own_data_does_what_it_says() -> None:
    # A short path: `init` writes it into ingest.py, on one line if it can.
    folder = Path(tempfile.mkdtemp(prefix="page-"))
    shell = Shell(folder, free_port())
    try:
        stale = follow((DOCS / "bring-your-own-data.md").read_text(), shell)
    finally:
        shell.end()
        shutil.rmtree(folder)
    assert not stale, "\n\n".join(stale)
