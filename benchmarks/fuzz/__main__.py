"""Both fuzzers on one home.

    python -m benchmarks.fuzz [--cases 10000] [--seed 0] [--home FOLDER]

`python -m benchmarks.fuzz.schema` and `python -m benchmarks.fuzz.wire` are one of them each.
"""

import sys
from pathlib import Path

import click

from benchmarks.fuzz.calls import calls_of, services_of
from benchmarks.fuzz.ground import IDS, filled_home, servers_of
from benchmarks.fuzz.schema import fuzz_schema, report_schema
from benchmarks.fuzz.wire import fuzz_wire, report_wire
from benchmarks.home import stop_like_ctrl_c

FOLDER = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--cases", type=click.IntRange(min=1), default=10_000, help="Each.  [default: 10000]")
@click.option("--seed", default=0, show_default=True)
@click.option("--home", type=FOLDER, help="A filled one; else fresh.")
def main(cases: int, seed: int, home: Path | None) -> None:
    """Fuzz contract and protocol; ends with 1 if a case fails, or if memory or descriptors grow."""
    stop_like_ctrl_c()
    with filled_home(home) as filled:
        with servers_of(filled) as servers:
            calls = calls_of(services_of(servers.port, IDS))
            streams, grown = fuzz_wire(servers, calls, cases=cases, seed=seed)
            wire_code = report_wire(streams, grown, seed=seed)
        with servers_of(filled) as servers:  # fresh ones: what they hold is compared again
            requests, grown = fuzz_schema(servers.port, servers.pid, cases=cases, seed=seed)
            schema_code = report_schema(requests, grown, seed=seed)
    sys.exit(max(wire_code, schema_code))


if __name__ == "__main__":
    main()
