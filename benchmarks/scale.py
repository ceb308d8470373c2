"""How a night grows with the number of entities: time, memory of its processes, memory of Redis.

    python -m benchmarks.scale [--rows N ...]

One set of synthetic houses is copied under new ids until there are enough. Each night begins with
an empty Redis; the second slot, which the night after it fills, takes as much again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click
import redis

from benchmarks.home import Data, Home, fresh_home, lay_down, stop_like_ctrl_c
from benchmarks.houses import make_houses
from benchmarks.machine import PROJECT, Facts, machine, print_written, table, write_result
from benchmarks.nightly import SERVICE, TRAINING_ROWS, night
from benchmarks.nightly_report import NIGHT_NOTES, Night
from benchmarks.progress import print_progress

SIZES = (100_000, 1_000_000, 4_000_000, 10_000_000)
MILLION = 1_000_000


@dataclass(frozen=True)
class SizedNight:
    """One night."""

    night: Night
    redis_bytes: int
    """What Redis took more after it than before."""

    @property
    def bytes_per_entity(self) -> float:
        return self.redis_bytes / self.night.rows


@click.command()
@click.option("--rows", "sizes", multiple=True, type=int, default=SIZES, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(sizes: Sequence[int], seed: int) -> None:
    """Measure a night at each size."""
    stop_like_ctrl_c()
    surroundings = machine()
    with fresh_home(PROJECT / "feature_repo") as home:
        lay_down(home, Data(None, TRAINING_ROWS, seed), [SERVICE])
        points = [measure_size(home, size, seed) for size in sorted(sizes)]
    report_scale(surroundings, seed, points)


def measure_size(home: Home, size: int, seed: int) -> SizedNight:
    """A night of so many houses, in an empty Redis."""
    print_progress(f"a night of {size:,} houses")
    make_houses(home, size, seed)
    client = redis.Redis(unix_socket_path=str(home.settings.redis_socket))
    client.flushall()
    before = used_bytes(client)
    done = night(home)
    assert done.rows == size
    return SizedNight(done, used_bytes(client) - before)


def used_bytes(client: redis.Redis) -> int:
    memory: Any = client.info("memory")
    return int(memory["used_memory"])


def report_scale(surroundings: Facts, seed: int, points: Sequence[SizedNight]) -> None:
    """Print the table, and write the figures to the result file."""
    heads = (
        "entities",
        "seconds",
        "rows/s",
        "peak memory, MB",
        "Redis, MB",
        "Redis, bytes an entity",
    )
    print(table(heads, [size_row(each) for each in points]))
    nights = []
    for each in points:
        rates = {
            "per_second": each.night.per_second,
            "bytes_per_entity": each.bytes_per_entity,
        }
        nights.append({**asdict(each), **rates})
    data = {
        "kind": "made by the repo's ingest, copied under new ids beyond a million",
        "seed": seed,
    }
    figures = {"nights": nights}
    print_written(write_result("scale", surroundings, data, figures, [], NIGHT_NOTES))


def size_row(each: SizedNight) -> tuple[str, ...]:
    night = each.night
    return (
        f"{night.rows:,}",
        f"{night.wall_seconds:.1f}",
        f"{night.per_second:,.0f}",
        f"{night.peak_mb:,.0f}",
        f"{each.redis_bytes / MILLION:,.0f}",
        f"{each.bytes_per_entity:,.0f}",
    )


if __name__ == "__main__":
    main()
