"""What `benchmarks.nightly` measured: tables, goals and the result file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.machine import (
    Facts,
    Goal,
    goals_table,
    print_notes,
    print_written,
    table,
    write_result,
)
from benchmarks.materialize import STOCK, UNCHECKED, WAYS
from benchmarks.writing import Writing

LEAST_TIMES_STOCK, LEAST_TIMES_MATERIALIZE, LEAST_SHARE_OF_RAW = 15.0, 10.0, 0.6
MOST_MEMORY_GROWTH, MOST_SECONDS_PER_MILLION = 1.3, 60.0

NIGHT_NOTES = (
    "potluck nightly: the whole command from its start to its end, with imports, validation,",
    "  staging, verification, history and pruning; its peak memory is the sum over its processes",
    "  (proportional set size), without Redis.",
)
NOTES = (
    *NIGHT_NOTES,
    "Stock Feast: get_historical_features, Booster.predict with all cores, write_to_online_store",
    "  with skip_dedup, on a smaller number of rows, as it is slow; imports are not counted. It",
    "  stages, verifies and switches nothing.",
    "Materialize: Feast's own call over the same data, stock Redis store and local engine against",
    "  Potluck's plug-ins.",
    "Houses beyond the first million are copies under new ids.",
    "Raw socket: the finished bytes of the same commands, sent while another thread counts",
    "  replies.",
    "Redis shares the cores. In the nights it is the home's own, with an append-only file, for",
    "  stock Feast too; in the rest a server of its own without one.",
)


@dataclass(frozen=True)
class Night:
    """One `potluck nightly`."""

    rows: int
    wall_seconds: float
    peak_mb: float
    seconds: Mapping[str, float]

    @property
    def per_second(self) -> float:
        return self.rows / self.wall_seconds


@dataclass(frozen=True)
class StockNight:
    """The same night in stock Feast, on fewer rows."""

    rows: int
    seconds: Mapping[str, float]

    @property
    def per_second(self) -> float:
        return self.rows / sum(self.seconds.values())


@dataclass(frozen=True)
class Materialized:
    """Rows a second of `materialize`; medians."""

    features: int
    per_second: Mapping[str, float]


@dataclass(frozen=True)
class Results:
    """All that was measured; the second night is the larger one."""

    nights: Sequence[Night]
    stock: StockNight
    materialized: Sequence[Materialized]
    writings: Sequence[Writing]


def report_nightly(surroundings: Facts, seed: int, results: Results) -> None:
    """Print the tables, and write the figures to the result file."""
    goals = nightly_goals(results)
    print(nights_table(results.nights, results.stock))
    print("\n" + materialized_table(results.materialized))
    print("\n" + writings_table(results.writings))
    print_notes(NOTES)
    print("\n" + goals_table(goals))
    rows = [each.rows for each in results.nights]
    data = {"kind": "made by the repo's ingest", "rows": rows, "seed": seed}
    figures = nightly_figures(results)
    print_written(write_result("nightly", surroundings, data, figures, goals, NOTES))


def nightly_figures(results: Results) -> dict[str, Any]:
    """All that was measured, with the rates that follow from it."""
    nights = [{**asdict(each), "per_second": each.per_second} for each in results.nights]
    writings = [{**asdict(each), "share": each.share} for each in results.writings]
    materialized = [asdict(each) for each in results.materialized]
    stock = results.stock
    return {
        "nights": nights,
        "stock_night": {**asdict(stock), "per_second": stock.per_second},
        "materialize": materialized,
        "writing": writings,
    }


def nights_table(nights: Sequence[Night], stock: StockNight) -> str:
    """Rows a second of each step and of the whole, a column for each night."""
    heads = [f"potluck, {each.rows:,}" for each in nights]
    rows = []
    for step in dict.fromkeys([*nights[0].seconds, *stock.seconds]):
        rates = [rate(each.rows, each.seconds.get(step)) for each in nights]
        rows.append((step, *rates, rate(stock.rows, stock.seconds.get(step))))
    whole = [f"{each.per_second:,.0f}" for each in nights]
    seconds = [f"{each.wall_seconds:.1f}" for each in nights]
    memory = [f"{each.peak_mb:,.0f}" for each in nights]
    stock_seconds = sum(stock.seconds.values())
    rows += [
        ("whole", *whole, f"{stock.per_second:,.0f}"),
        ("seconds", *seconds, f"{stock_seconds:.1f}"),
        ("peak memory, MB", *memory, ""),
    ]
    return table(("rows/s", *heads, f"stock Feast, {stock.rows:,}"), rows)


def rate(rows: int, seconds: float | None) -> str:
    return f"{rows / seconds:,.0f}" if seconds else ""


def materialized_table(materialized: Sequence[Materialized]) -> str:
    rows = []
    for each in materialized:
        rates = [f"{each.per_second[name]:,.0f}" for name in WAYS]
        rows.append((f"{each.features} feature(s)", *rates))
    return table(("materialize, rows/s", *WAYS), rows)


def writings_table(writings: Sequence[Writing]) -> str:
    rows = []
    for each in writings:
        row = (
            f"{each.features} feature(s)",
            f"{each.bulk:,.0f}",
            f"{each.raw:,.0f}",
            f"{each.share:.2f}",
        )
        rows.append(row)
    return table(("write, rows/s", "bulk writer", "raw socket", "share"), rows)


def nightly_goals(results: Results) -> list[Goal]:
    first, larger = results.nights
    times = first.per_second / results.stock.per_second
    growth = larger.peak_mb / first.peak_mb
    growth_name = f"peak memory at {larger.rows:,} ÷ at {first.rows:,}"
    per_million = first.wall_seconds * 1_000_000 / first.rows
    goals = [
        Goal("night: times stock Feast", times, ">=", LEAST_TIMES_STOCK),
        Goal("seconds for a million houses", per_million, "<", MOST_SECONDS_PER_MILLION),
        Goal(growth_name, growth, "<=", MOST_MEMORY_GROWTH),
    ]
    for each in results.materialized:
        name = f"materialize of {each.features} feature(s): times Feast's"
        times = each.per_second[UNCHECKED] / each.per_second[STOCK]
        goals.append(Goal(name, times, ">=", LEAST_TIMES_MATERIALIZE))
    for writing in results.writings:
        name = f"writer of {writing.features} feature(s): share of a raw socket"
        goals.append(Goal(name, writing.share, ">=", LEAST_SHARE_OF_RAW))
    return goals
