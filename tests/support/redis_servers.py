"""Real Redis processes for tests: servers, sentinels, a cluster."""

import contextlib
import itertools
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from potluck.redis.embedded import server_binary

PATIENCE_SECONDS = 20.0
SLOTS = 16384


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def free_port() -> int:
    """A port whose number leaves room for a cluster's bus, 10000 above."""
    for _ in range(1000):
        with (
            socket.socket() as low,
            socket.socket() as high,
            contextlib.suppress(OSError, OverflowError),
        ):
            low.bind(("127.0.0.1", 0))
            port = int(low.getsockname()[1])
            high.bind(("127.0.0.1", port + 10_000))
            return port
    raise AssertionError("no free port")


@dataclass
class RedisProcess:
    """One redis-server of a test."""

    folder: Path
    options: tuple[str, ...] = ()
    password: str | None = None
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def socket(self) -> Path:
        return self.folder / f"{self.port}.sock"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        """Start it and wait until it answers."""
        own = [
            "--port",
            str(self.port),
            "--unixsocket",
            str(self.socket),
            "--dir",
            str(self.folder),
            "--save",
            "",
        ]
        files = ["--dbfilename", f"{self.port}.rdb", "--appendfilename", f"{self.port}.aof"]
        auth = ["--requirepass", self.password] if self.password else []
        log = (self.folder / f"{self.port}.log").open("ab")
        command = [server_binary(), *own, *files, *auth, *self.options]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self.answers)

    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)


@dataclass
class Processes:
    """Starts servers below a folder; all end with the test."""

    folder: Path
    running: list[RedisProcess] = field(default_factory=list)

    def start(self, *options: str, password: str | None = None) -> RedisProcess:
        process = RedisProcess(self.folder, options, password)
        self.running.append(process)
        process.start()
        return process

    def sentinel(
        self, master: RedisProcess, service: str, patience_ms: int = 60_000
    ) -> RedisProcess:
        """A sentinel that decides alone, once the master has been away for so many milliseconds."""
        conf = self.folder / f"sentinel-{master.port}.conf"
        lines = [f"sentinel monitor {service} 127.0.0.1 {master.port} 1"]
        lines += [f"sentinel down-after-milliseconds {service} {patience_ms}"]
        conf.write_text("\n".join(lines) + "\n")
        sentinel = RedisProcess(self.folder)
        self.running.append(sentinel)
        command = [
            server_binary(),
            str(conf),
            "--sentinel",
            "--port",
            str(sentinel.port),
            "--dir",
            str(self.folder),
        ]
        sentinel.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(sentinel.answers)
        return sentinel

    def cluster(self, nodes: int = 3) -> list[RedisProcess]:
        """Nodes that share all slots, and agree on it."""
        started = [self.cluster_node(f"node-{number}") for number in range(nodes)]
        edges = [SLOTS * number // nodes for number in range(nodes + 1)]
        for node, (first, last) in zip(started, itertools.pairwise(edges), strict=True):
            node.client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last))
            node.client.execute_command("CLUSTER", "MEET", "127.0.0.1", started[0].port)
        wait_until(lambda: all(agrees(node, nodes) for node in started))
        return started

    def cluster_node(self, name: str) -> RedisProcess:
        options = (
            "--cluster-enabled",
            "yes",
            "--cluster-config-file",
            str(self.folder / f"{name}.conf"),
        )
        return self.start(
            *options, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000"
        )

    def replica(self, nodes: list[RedisProcess]) -> RedisProcess:
        """One more node of a cluster, with a copy of the first one's data; all nodes know it."""
        replica = self.cluster_node(f"replica-{nodes[0].port}")
        for node in nodes:
            replica.client.execute_command("CLUSTER MEET", "127.0.0.1", node.port)
        wait_until(lambda: follows(replica, nodes[0]))
        wait_until(lambda: replica.client.info("replication").get("master_link_status") == "up")
        wait_until(lambda: all(replica.port in ports_of(node) for node in [*nodes, replica]))
        return replica

    def end(self) -> None:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                process.signal(signal.SIGCONT)
            process.kill()


def agrees(node: RedisProcess, nodes: int) -> bool:
    info = node.client.execute_command("CLUSTER INFO")
    slots = len(node.client.execute_command("CLUSTER SLOTS"))
    return (
        info["cluster_state"] == "ok" and int(info["cluster_slots_ok"]) == SLOTS and slots == nodes
    )


def ports_of(node: RedisProcess) -> set[int]:
    """The nodes that hold slots, or copies of them, as one node sees it."""
    return {
        port
        for _, _, *holders in node.client.execute_command("CLUSTER SLOTS")
        for _, port, *_ in holders
    }


def id_of(node: RedisProcess) -> str:
    return str(node.client.execute_command("CLUSTER MYID").decode())


def follows(replica: RedisProcess, primary: RedisProcess) -> bool:
    """Whether a node that just met the cluster knows the primary already, and follows it."""
    with contextlib.suppress(redis.ResponseError):
        return bool(replica.client.execute_command("CLUSTER REPLICATE", id_of(primary)))
    return False


@pytest.fixture
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Redis processes for one test to break."""
    found = Processes(tmp_path_factory.mktemp("redis"))
    yield found
    found.end()


@pytest.fixture(scope="session")
def shared_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Redis processes that tests leave as they found them, but for what is stored."""
    found = Processes(tmp_path_factory.mktemp("redis"))
    yield found
    found.end()


@pytest.fixture(scope="session")
def cluster(shared_processes: Processes) -> list[RedisProcess]:
    """Three nodes; it takes them seconds to agree."""
    return shared_processes.cluster()
