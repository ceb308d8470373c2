"""From the start of the process to ready, and what a worker holds in memory, beside bare imports, Feast and MLflow.

    python -m benchmarks.startup [--repo FOLDER] [--data FILE | --rows N --seed S] [--repeats 5] [--slow-repeats 3]

Rounds are interleaved, so that a busy machine is busy for all; the first start of each contender is not counted.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq

from benchmarks.home import BIN, Data, Home, fresh_home, lay_down, stop_like_ctrl_c
from benchmarks.machine import PROJECT, Goal, goals_table, machine, table, write_result
from benchmarks.processes import Memory, Server, free_port, memory_of, started
from potluck.contract.features import FeatureContract, Field
from potluck.scoring.bundle import Model
from potluck.scoring.golden import read_golden
from potluck.scoring.releases import Releases

HOUSES = PROJECT / "feature_repo"
BARE = "bare imports"
POTLUCK, TWO_WORKERS = "potluck serve", "potluck serve --workers 2"
FEAST, MLFLOW = "feast serve", "mlflow models serve"
BARE_IMPORTS = "import fastapi, uvicorn, redis.asyncio, numpy"
REQUESTS = 100
MOST_TIMES_BARE, MOST_MB = 1.5, 150.0

NOTES = (
    f"{BARE}: the process time of `python -c '{BARE_IMPORTS}'`, from start to exit; nothing is served.",
    f"{POTLUCK}: ready with every model of the repo; Redis runs already. Its {REQUESTS} requests are hybrid ones:",
    "  a record in, an online lookup, on-demand functions, a score, the prediction in the label's own space.",
    f"{FEAST}: knows no model. It joins features and answers them; its requests fetch the hybrid service's.",
    f"{MLFLOW}: knows no feature store, and one model only. Its requests carry the finished, encoded matrix row,",
    "  and it answers the raw score (of a log-transformed label, the logarithm).",
    "A worker is the process that answers: the largest one besides the one that only supervises it.",
)


@dataclass(frozen=True)
class Contender:
    """A server under measurement."""

    name: str
    command: Callable[[int], list[str]]
    """Port -> command line."""
    ready_path: str
    post_path: str
    bodies: Sequence[bytes]
    supervised: bool
    """Whether the process that is started only supervises the one that answers."""
    slow: bool = False
    timed: bool = True


@dataclass(frozen=True)
class Held:
    """Memory of a contender after its requests, in MB."""

    worker: Memory
    whole_server: float
    """All its processes, shared pages counted once."""
    processes: int


@dataclass(frozen=True)
class Bundle:
    """The service that is asked, as it was laid down."""

    contract: FeatureContract
    model: Model
    folder: Path


@click.command()
@click.option("--repo", type=click.Path(path_type=Path), default=HOUSES, help="Feast feature repo.")
@click.option("--service", "services", multiple=True, default=("house_price_realtime", "house_price_hybrid"))
@click.option("--data", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File to ingest.")
@click.option("--rows", default=1460, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--repeats", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--slow-repeats", type=click.IntRange(0, 50), default=3, show_default=True, help="Of Feast and MLflow.")
def main(
    repo: Path, services: tuple[str, ...], file: Path | None, rows: int, seed: int, repeats: int, slow_repeats: int
) -> None:
    """Measure; the last --service is the one that is asked."""
    stop_like_ctrl_c()
    surroundings = machine()
    data = Data(file, rows, seed)
    with fresh_home(repo) as home:
        lay_down(home, data, services)
        bundle = champion(home, services[-1])
        contenders = contenders_for(home, bundle)
        seconds, held = measure(home, contenders, repeats, slow_repeats)
    assert bundle.contract.lineage is not None
    described = {**data.described(), "services": services, "data_hash": bundle.contract.lineage.data_hash}
    name = "startup" if repo.resolve() == HOUSES else f"startup_{bundle.contract.project}"
    report(name, surroundings, described, seconds, held)


def champion(home: Home, service: str) -> Bundle:
    releases = Releases(home.settings.releases)
    release = releases.champion(service)
    model = releases.open(release)
    return Bundle(model.contract, model, releases.bundles / release.digest)


def contenders_for(home: Home, bundle: Bundle) -> list[Contender]:
    service, repo = bundle.contract.service, str(home.settings.repo)
    serve = [str(BIN / "potluck"), "serve", "--repo", repo, "--port"]
    feast = [str(BIN / "feast"), "-c", repo, "serve", "--host", "127.0.0.1", "--port"]
    mlflow = [str(BIN / "mlflow"), "models", "serve", "-m", f"models:/{service}@champion"]
    local = ["--env-manager", "local", "--host", "127.0.0.1", "--port"]
    records = first_records(home, bundle.contract)
    ask = (f"/predict/{service}", [json.dumps(sent(record)).encode() for record in records])
    return [
        Contender(POTLUCK, lambda port: [*serve, str(port)], "/readyz", *ask, supervised=False),
        Contender(
            TWO_WORKERS,
            lambda port: [*serve, str(port), "--workers", "2"],
            *("/readyz", *ask),
            supervised=True,
            timed=False,
        ),
        Contender(
            FEAST,
            lambda port: [*feast, str(port)],
            *("/health", "/get-online-features", feast_bodies(bundle.contract, records)),
            supervised=True,
            slow=True,
        ),
        Contender(
            MLFLOW,
            lambda port: [*mlflow, *local, str(port)],
            *("/ping", "/invocations", mlflow_bodies(bundle)),
            supervised=True,
            slow=True,
        ),
    ]


def first_records(home: Home, contract: FeatureContract) -> list[dict[str, Any]]:
    """Keys and request fields of the population's first entities."""
    path = home.settings.data_folder(contract.project) / f"{contract.population}.parquet"
    names = [field.name for field in contract.keys + contract.request]
    return list(pq.read_table(path, columns=names).slice(0, REQUESTS).to_pylist())


def sent(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def feast_bodies(contract: FeatureContract, records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Feast wants every request field, and a value in each."""
    fields = contract.keys + contract.request
    entities = [{field.name: [value_for_feast(field, record[field.name])] for field in fields} for record in records]
    return [json.dumps({"feature_service": contract.service, "entities": entity}).encode() for entity in entities]


def value_for_feast(field: Field, value: Any) -> Any:
    return value if value is not None else "" if field.dtype == "string" else 0


def mlflow_bodies(bundle: Bundle) -> list[bytes]:
    """Encoded rows: the bundle's golden ones, as often as needed."""
    golden = read_golden(bundle.folder)
    matrix = bundle.model.rows.build(golden.inputs, golden.times).matrix
    rows = [[None if value != value else value for value in row] for row in matrix.tolist()]
    columns = [column.name for column in bundle.contract.columns]
    bodies = [json.dumps({"dataframe_split": {"columns": columns, "data": [row]}}).encode() for row in rows]
    return [bodies[number % len(bodies)] for number in range(REQUESTS)]


def measure(
    home: Home, contenders: Sequence[Contender], repeats: int, slow_repeats: int
) -> tuple[dict[str, list[float]], dict[str, Held]]:
    """Seconds to ready of each start that counts, and memory after the requests, by contender."""
    seconds: dict[str, list[float]] = {BARE: [], **{c.name: [] for c in contenders if c.timed}}
    bare_imports(home)  # compiles what was never compiled
    held = {c.name: start_and_ask(home, c)[1] for c in contenders if not c.slow or slow_repeats}
    held[BARE] = bare_memory(home)
    for number in range(max(repeats, slow_repeats)):
        if number < repeats:
            seconds[BARE].append(bare_imports(home))
        for contender in contenders:
            if contender.timed and number < (slow_repeats if contender.slow else repeats):
                seconds[contender.name].append(start_and_ask(home, contender, ask=False)[0])
    return {name: runs for name, runs in seconds.items() if runs}, held


def bare_imports(home: Home) -> float:
    """Process time of the imports alone."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE_IMPORTS], env=home.environment, check=True)
    return time.perf_counter() - begin


def bare_memory(home: Home) -> Held:
    """What a process holds after the imports alone."""
    command = [sys.executable, "-c", f"{BARE_IMPORTS}; print(); input()"]
    with subprocess.Popen(command, env=home.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        memory = memory_of(process.pid)
        process.communicate(b"\n")
    return Held(memory, memory.share, 1)


def start_and_ask(home: Home, contender: Contender, ask: bool = True) -> tuple[float, Held]:
    """Start a server, wait until it is ready, ask it, look at its memory, stop it."""
    print(f"starting {contender.name} ...", file=sys.stderr, flush=True)
    port = free_port()
    log = home.settings.home / f"{contender.name.replace(' ', '-')}.log"
    with started(contender.command(port), port, home.environment, log) as server:
        seconds = server.wait_ready(contender.ready_path)
        if ask:
            server.post(contender.post_path, contender.bodies)
        return seconds, memory_held(server, contender)


def memory_held(server: Server, contender: Contender) -> Held:
    found = server.memory()
    workers = [memory for pid, memory in found.items() if not (contender.supervised and pid == server.process.pid)]
    largest = max(workers, key=lambda memory: memory.peak)
    return Held(largest, sum(memory.share for memory in found.values()), len(found))


def report(
    name: str,
    surroundings: Mapping[str, Any],
    data: Mapping[str, Any],
    seconds: Mapping[str, Sequence[float]],
    held: Mapping[str, Held],
) -> None:
    medians = {name: statistics.median(runs) for name, runs in seconds.items()}
    goals = goals_of(medians, held)
    print(table(("start", "median s", "min", "max", "× bare", "× potluck", "n"), seconds_rows(seconds, medians)))
    print()
    print(table(("memory", "worker peak MB", "settled", "whole server PSS", "processes"), memory_rows(held)))
    print()
    print("\n".join(NOTES))
    print()
    print(goals_table(goals))
    figures = {"seconds_to_ready": told(seconds, medians), "memory_mb": {name: asdict(h) for name, h in held.items()}}
    print(f"\nwrote {write_result(name, surroundings, data, figures, goals, NOTES).relative_to(PROJECT)}")


def goals_of(medians: Mapping[str, float], held: Mapping[str, Held]) -> list[Goal]:
    ratio = medians[POTLUCK] / medians[BARE]
    peaks = {name: held[name].worker.peak for name in (POTLUCK, TWO_WORKERS)}
    return [
        Goal("ready, as a multiple of bare imports", round(ratio, 3), "<=", MOST_TIMES_BARE),
        *(Goal(f"peak MB of a worker, {name}", round(peak, 1), "<=", MOST_MB) for name, peak in peaks.items()),
    ]


def told(seconds: Mapping[str, Sequence[float]], medians: Mapping[str, float]) -> dict[str, Any]:
    return {
        name: {
            "median": medians[name],
            "runs": list(runs),
            "times_bare": medians[name] / medians[BARE],
            "times_potluck": medians[name] / medians[POTLUCK],
        }
        for name, runs in seconds.items()
    }


def seconds_rows(seconds: Mapping[str, Sequence[float]], medians: Mapping[str, float]) -> list[tuple[str, ...]]:
    bare, ours = medians[BARE], medians[POTLUCK]
    numbers = {
        name: (f"{medians[name]:.2f}", f"{min(runs):.2f}", f"{max(runs):.2f}", f"{medians[name] / bare:.2f}")
        for name, runs in seconds.items()
    }
    return [(name, *cells, f"{medians[name] / ours:.2f}", str(len(seconds[name]))) for name, cells in numbers.items()]


def memory_rows(held: Mapping[str, Held]) -> list[tuple[str, ...]]:
    return [
        (name, f"{h.worker.peak:.0f}", f"{h.worker.settled:.0f}", f"{h.whole_server:.0f}", str(h.processes))
        for name, h in held.items()
    ]


if __name__ == "__main__":
    main()
