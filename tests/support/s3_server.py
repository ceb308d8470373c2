"""A real S3 server (moto's) on a free port, which may be away or hang.

moto stands in no lock file: botocore, which it brings, holds python-dateutil below the version
that the batch image has. It lies in an environment of its own; POTLUCK_MOTO_SERVER names the
program:

    python -m venv moto && moto/bin/pip install 'moto[server]>=5.2'
    POTLUCK_MOTO_SERVER=moto/bin/moto_server pytest tests/monitoring

No program is looked for on PATH: a much older moto ends every upload of Arrow's with an error.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from pyarrow import fs
from redis_servers import free_port
from tools import do_without

PROGRAM = "POTLUCK_MOTO_SERVER"
SECRET = "s3cr3t-of-s3"
BUCKET = "logs"
START_SECONDS = 30.0


@dataclass
class S3Server:
    """One that is started and ended at will; what it holds ends with it."""

    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Of the log, with a password, as the setting has it."""
        place = f"s3://key:{SECRET}@{BUCKET}/shared/log"
        return f"{place}?endpoint_override=127.0.0.1:{self.port}&scheme=http&region=us-east-1"

    def start(self) -> None:
        program = os.environ.get(PROGRAM)
        if not program:
            do_without(f"expected {PROGRAM} to name moto's S3 server, see {__name__}")
        command = [str(program), "-H", "127.0.0.1", "-p", str(self.port)]
        nowhere = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=nowhere, stderr=nowhere)
        deadline = time.monotonic() + START_SECONDS
        while not self.listens():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        files, _ = fs.FileSystem.from_uri(f"{self.url}&allow_bucket_creation=true")
        files.create_dir(BUCKET)

    def listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def hanging(port: int) -> Iterator[None]:
    """Something that accepts connections there, and never answers."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(50)
        yield
