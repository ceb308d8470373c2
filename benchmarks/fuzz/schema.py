"""Requests made from the server's own /openapi.json, fitting and unfitting; the answers checked.

    python -m benchmarks.fuzz.schema [--cases 10000] [--seed 0] [--home FOLDER]

No answer is a 5xx, takes for ever, or has a status, content type, headers or a body that the
document does not name. At the end the server holds no more memory and descriptors than when warm.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import click
import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from benchmarks.fuzz.ground import filled_home, potluck_server
from benchmarks.fuzz.held import Resources, growth
from benchmarks.home import stop_like_ctrl_c

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PATIENCE_SECONDS = 10.0
WARM = 0.2
"""Share of the cases after which memory and descriptors are looked at first."""
MOST_ROUNDS = 20
ENOUGH_FAILURES = 10

Pair = tuple[Any, GenerationMode]
"""An operation of the document, and whether its data fits."""


@dataclass
class SchemaOutcome:
    """What came of a run."""

    answers: Counter[str] = field(default_factory=Counter)
    """By operation, kind of data and status."""
    failures: list[str] = field(default_factory=list)

    @property
    def played(self) -> int:
        return self.answers.total()


class SchemaFuzzer:
    """Asks the server on a port what its own document allows, and what it does not."""

    def __init__(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}/openapi.json"
        document: Any = schemathesis.openapi.from_url(url, config=schemathesis.Config())
        operations = [found.ok() for found in document.get_all_operations()]
        self.pairs: list[Pair] = list(product(operations, GenerationMode))
        self.session = requests.Session()
        self.outcome = SchemaOutcome()

    def run(self, cases: int, seed: int) -> None:
        """Play so many more cases, as many for each operation and kind of data as it has."""
        wanted = self.outcome.played + cases
        pairs = self.pairs
        for number in range(MOST_ROUNDS):
            left = wanted - self.outcome.played
            enough = len(self.outcome.failures) >= ENOUGH_FAILURES
            if left <= 0 or enough or not pairs:
                return
            share = max(1, left // len(pairs))
            round_seed = seed + number
            # What had fewer cases than its share has no others, and is not asked again.
            pairs = [pair for pair in pairs if self.explore(pair, share, round_seed) >= share]

    def explore(self, pair: Pair, most: int, seed: int) -> int:
        """Play at most so many cases of one operation; answers how many there were."""
        operation, mode = pair
        before = self.outcome.played

        def play(case: Any) -> None:
            if len(self.outcome.failures) < ENOUGH_FAILURES:
                self.play(case, f"{operation.label}, {mode.value}")

        settings = hypothesis.settings(
            max_examples=most,
            database=None,
            deadline=None,
            derandomize=False,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        strategy = operation.as_strategy(generation_mode=mode)
        try:
            given: Any = hypothesis.given(strategy)
            seeded: Any = hypothesis.seed(seed)
            explored = seeded(settings(given(play)))
            explored()
        except Unsatisfiable:
            return 0  # nothing unfitting can be sent where nothing is asked for
        return self.outcome.played - before

    def play(self, case: Any, told: str) -> None:
        """Send one case and hold its answer against the document."""
        try:
            answer = case.call(session=self.session, timeout=PATIENCE_SECONDS)
        except requests.RequestException as error:
            self.outcome.answers[f"{told}, none"] += 1
            self.outcome.failures.append(f"{told}: {error!r}\n{case.as_curl_command()}")
            return
        self.outcome.answers[f"{told}, {answer.status_code}"] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            self.outcome.failures += [f"{told}: {group}"]


def fuzz_schema(port: int, pid: int, *, cases: int, seed: int) -> tuple[SchemaOutcome, list[str]]:
    """Play so many cases; answers what came of it, and what grew meanwhile."""
    fuzzer = SchemaFuzzer(port)
    warm = int(cases * WARM)
    fuzzer.run(warm, seed)
    before = Resources.of(pid)
    fuzzer.run(cases - fuzzer.outcome.played, seed + MOST_ROUNDS)
    return fuzzer.outcome, growth(before, pid)


FOLDER = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--cases", type=click.IntRange(min=1), default=10_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--home", type=FOLDER, help="A filled one; else fresh.")
def main(cases: int, seed: int, home: Path | None) -> None:
    """Fuzz; ends with 1 if an answer is not as documented, or if memory or descriptors grow."""
    stop_like_ctrl_c()
    with filled_home(home) as filled, potluck_server(filled) as server:
        outcome, grown = fuzz_schema(server.port, server.process.pid, cases=cases, seed=seed)
    sys.exit(report_schema(outcome, grown, seed=seed))


def report_schema(outcome: SchemaOutcome, grown: Sequence[str], *, seed: int) -> int:
    """Print what came of it; answers the exit code."""
    for line in (*outcome.failures, *grown):
        print(f"FAILED {line}\n")
    for told, count in sorted(outcome.answers.items()):
        print(f"{count:6} {told}")
    print(f"seed {seed}: {outcome.played} cases, {len(outcome.failures)} failed")
    return 1 if outcome.failures or grown else 0


if __name__ == "__main__":
    main()
