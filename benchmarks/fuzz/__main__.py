"""Both fuzzers on one home.

    python -m benchmarks.fuzz [--cases 10000] [--seed 0] [--home FOLDER]

`python -m benchmarks.fuzz.schema` and `python -m benchmarks.fuzz.wire` are one of them each.
"""

import sys
from pathlib import Path

import click

from benchmarks.fuzz import schema, wire
from benchmarks.fuzz.calls import calls_of, services_of
from benchmarks.fuzz.ground import IDS, filled_home, servers_of
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
            codes = [
                wire.report_wire(*wire.fuzz_wire(servers, calls, cases=cases, seed=seed), seed=seed)
            ]
        with servers_of(filled) as servers:
            found = schema.fuzz_schema(servers.port, servers.pid, cases=cases, seed=seed)
            codes.append(schema.report_schema(*found, seed=seed))
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
