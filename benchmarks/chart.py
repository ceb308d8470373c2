"""`results/serving.json` -> `results/serving.svg`, readable on a light and on a dark page.

python -m benchmarks.chart [FILE]
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.machine import RESULTS
from benchmarks.rivals import ECHO, MANY, POTLUCK
from benchmarks.traffic import HYBRID, LOOKUP, REALTIME

TITLES = {
    HYBRID: "hybrid: a record in, a lookup by id, a prediction out",
    REALTIME: "real-time: a record in, a prediction out",
    LOOKUP: "precomputed: an id in, last night's prediction out",
}
OURS, PEERS, ECHOES, INK = "#e8590c", "#4c8dd6", "#9aa3ad", "#7d8590"
"""The ink has the same contrast to white as to GitHub's dark background."""
BAR_INCHES, HEAD_INCHES, WIDTH_INCHES = 0.3, 0.55, 10.0
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "potluck", "font.family": "sans-serif", "font.size": 9}


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path), default=RESULTS / "serving.json")
def main(file: Path) -> None:
    """Draw the chart beside FILE."""
    print(f"wrote {draw(file)}")


def draw(file: Path) -> Path:
    figures = json.loads(file.read_bytes())["figures"]
    rates = {case: found for case in TITLES if (found := rates_of(figures, case))}
    heights = [HEAD_INCHES + BAR_INCHES * len(found) for found in rates.values()]
    with matplotlib.rc_context(STYLE):
        sheet = Figure(figsize=(WIDTH_INCHES, sum(heights)), layout="constrained")
        panels = sheet.subplots(len(rates), 1, squeeze=False, height_ratios=heights)[:, 0]
        most = max(max(found.values()) for found in rates.values())
        for panel, (case, found) in zip(panels, rates.items(), strict=True):
            draw_case(panel, case, found, figures["servers"], most)
        target = file.with_suffix(".svg")
        sheet.savefig(target, transparent=True, metadata={"Date": None})
    return target


def rates_of(figures: Mapping[str, Any], case: str) -> dict[str, float]:
    """Server -> answers per second with many connections, the fastest first; those on one core only."""
    by_server = figures["cases"].get(case, {})
    rates = {name: found[str(MANY)].get("per_second") for name, found in by_server.items() if not name.endswith("-2")}
    return dict(sorted(((n, r) for n, r in rates.items() if r), key=lambda pair: pair[1], reverse=True))


def draw_case(panel: Axes, case: str, rates: Mapping[str, float], servers: Mapping[str, Any], most: float) -> None:
    names = list(rates)
    bars = panel.barh(
        [servers[name]["label"] for name in names], list(rates.values()), color=[colour(n) for n in names]
    )
    panel.bar_label(bars, [label(rates, name) for name in names], padding=4, color=INK)
    panel.set_title(f"{TITLES[case]} (answers/s, {MANY} connections, one core)", loc="left", color=INK, fontsize=10)
    panel.set_xscale("log")
    panel.set_xlim(10, most * 6)
    panel.invert_yaxis()
    plain(panel)


def plain(panel: Axes) -> None:
    """No frame, and every letter in a colour that both backgrounds bear."""
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.tick_params(colors=INK, length=0, which="both")
    panel.grid(axis="x", color=INK, alpha=0.25, linewidth=0.5)
    panel.set_axisbelow(True)


def colour(name: str) -> str:
    return OURS if name == POTLUCK else ECHOES if name.startswith((ECHO, "starlette", "fastapi", "pydantic")) else PEERS


def label(rates: Mapping[str, float], name: str) -> str:
    """The rate, and how many times it Potluck's is."""
    told = f"{rates[name]:,.0f}"
    if name == POTLUCK or POTLUCK not in rates:
        return told
    ratio = rates[POTLUCK] / rates[name]
    return f"{told}   (potluck: {ratio:,.0f} ×)" if ratio >= 10 else f"{told}   (potluck: {ratio:.2g} ×)"


if __name__ == "__main__":
    main()
