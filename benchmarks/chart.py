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
from benchmarks.rivals import ECHO, FASTAPI, MANY, POTLUCK, PYDANTIC, STARLETTE
from benchmarks.traffic import HYBRID, LOOKUP, REALTIME

TITLES = {
    HYBRID: "hybrid: a record in, a lookup by id, a prediction out",
    REALTIME: "real-time: a record in, a prediction out",
    LOOKUP: "precomputed: an id in, last night's prediction out",
}
LEGEND = (
    f"Answers per second, {MANY} connections, one worker on one core. "
    "n ×: Potluck's rate over this one's."
)
OTHER_MODEL = " * runs another model of the same size."
OURS, PEERS, ECHOES, INK = (
    "#e8590c",
    "#4c8dd6",
    "#9aa3ad",
    "#7d8590",
)  # ink: as dark on white as it is light on black
BAR_INCHES, HEAD_INCHES, FOOT_INCHES, WIDTH_INCHES = 0.27, 0.45, 0.3, 9.0
ROOM_FOR_LABELS = 1.3
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "potluck",
    "font.family": "sans-serif",
    "font.size": 9,
}


@click.command()
@click.argument(
    "file", type=click.Path(exists=True, path_type=Path), default=RESULTS / "serving.json"
)
def main(file: Path) -> None:
    """Draw the chart beside FILE."""
    print(f"wrote {draw(file)}")


def draw(file: Path) -> Path:
    target = file.with_suffix(".svg")
    with matplotlib.rc_context(STYLE):
        chart(json.loads(file.read_bytes())["figures"]).savefig(
            target, transparent=True, metadata={"Date": None}
        )
    return target


def chart(figures: Mapping[str, Any]) -> Figure:
    """A panel for each kind of service, all on one linear scale."""
    rates = {case: found for case in TITLES if (found := rates_of(figures, case))}
    heights = [HEAD_INCHES + BAR_INCHES * len(found) for found in rates.values()]
    sheet = Figure(figsize=(WIDTH_INCHES, sum(heights) + FOOT_INCHES), layout="constrained")
    panels = sheet.subplots(len(rates), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for panel, (case, found) in zip(panels, rates.items(), strict=True):
        draw_case(panel, TITLES[case], found, figures["servers"])
    panels[0].set_xlim(0, ROOM_FOR_LABELS * max(max(found.values()) for found in rates.values()))
    sheet.supxlabel(LEGEND + OTHER_MODEL, color=INK, fontsize=8, x=0.01, ha="left")
    return sheet


def rates_of(figures: Mapping[str, Any], case: str) -> dict[str, float]:
    """Server -> answers per second with many connections, the fastest first; those with one worker
    only."""
    by_server = figures["cases"].get(case, {})
    rates = {
        name: found[str(MANY)].get("per_second")
        for name, found in by_server.items()
        if not name.endswith("-2")
    }
    return dict(
        sorted(((n, r) for n, r in rates.items() if r), key=lambda pair: pair[1], reverse=True)
    )


def draw_case(
    panel: Axes, title: str, rates: Mapping[str, float], servers: Mapping[str, Any]
) -> None:
    names = [
        servers[name]["label"] + ("" if servers[name]["same_model"] else " *") for name in rates
    ]
    bars = panel.barh(
        names, list(rates.values()), color=[colour(name) for name in rates], height=0.72
    )
    panel.bar_label(bars, [label(rates, name) for name in rates], padding=4, color=INK)
    panel.set_title(title, loc="left", color=INK, fontsize=10)
    panel.invert_yaxis()
    panel.set_frame_on(False)
    panel.tick_params(colors=INK, length=0, bottom=False, labelbottom=False)


def colour(name: str) -> str:
    return (
        OURS
        if name == POTLUCK
        else ECHOES
        if name.startswith((ECHO, STARLETTE, FASTAPI, PYDANTIC))
        else PEERS
    )


def label(rates: Mapping[str, float], name: str) -> str:
    """The rate, and how many times it Potluck's is."""
    if name == POTLUCK or POTLUCK not in rates:
        return f"{rates[name]:,.0f}"
    ratio = rates[POTLUCK] / rates[name]
    return (
        f"{rates[name]:,.0f}  ({ratio:,.0f} ×)"
        if ratio >= 10
        else f"{rates[name]:,.0f}  ({ratio:.2f} ×)"
    )


if __name__ == "__main__":
    main()
