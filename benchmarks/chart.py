"""`results/serving.json` -> `results/serving.svg`, readable on a light and on a dark page.

python -m benchmarks.chart [FILE]
"""

import json
from collections.abc import Mapping
from pathlib import Path

import click
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.machine import RESULTS, Facts
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
OURS, PEERS, ECHOES = "#e8590c", "#4c8dd6", "#9aa3ad"
INK = "#7d8590"  # as dark on white as it is light on black
BARE_SERVERS = (ECHO, STARLETTE, FASTAPI, PYDANTIC)
"""How the names of those begin that only echo."""
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
    """Draw a result file's chart beside it."""
    target = file.with_suffix(".svg")
    figures = json.loads(file.read_bytes())["figures"]
    with matplotlib.rc_context(STYLE):
        chart(figures).savefig(target, transparent=True, metadata={"Date": None})
    return target


def chart(figures: Facts) -> Figure:
    """A panel for each kind of service, all on one linear scale."""
    rates = {}
    for case in TITLES:
        found = rates_of(figures, case)
        if found:
            rates[case] = found
    heights = [HEAD_INCHES + BAR_INCHES * len(found) for found in rates.values()]
    height = sum(heights) + FOOT_INCHES
    sheet = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    panels = sheet.subplots(len(rates), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for panel, (case, found) in zip(panels, rates.items(), strict=True):
        draw_case(panel, TITLES[case], found, figures["servers"])
    fastest = max(max(found.values()) for found in rates.values())
    panels[0].set_xlim(0, ROOM_FOR_LABELS * fastest)
    sheet.supxlabel(LEGEND + OTHER_MODEL, color=INK, fontsize=8, x=0.01, ha="left")
    return sheet


def rates_of(figures: Facts, case: str) -> dict[str, float]:
    """Server -> answers per second with many connections, the fastest first; those with one worker
    only."""
    by_server = figures["cases"].get(case, {})
    rates = {}
    for name, found in by_server.items():
        rate = found[str(MANY)].get("per_second")
        if rate and not name.endswith("-2"):  # a server that failed has no rate
            rates[name] = rate
    return dict(sorted(rates.items(), key=lambda pair: pair[1], reverse=True))


def draw_case(panel: Axes, title: str, rates: Mapping[str, float], servers: Facts) -> None:
    """One panel: a bar for each server, with its rate beside it."""
    names = [bar_name(servers[name]) for name in rates]
    colours = [colour(name) for name in rates]
    labels = [label(rates, name) for name in rates]
    bars = panel.barh(names, list(rates.values()), color=colours, height=0.72)
    panel.bar_label(bars, labels, padding=4, color=INK)
    panel.set_title(title, loc="left", color=INK, fontsize=10)
    panel.invert_yaxis()
    panel.set_frame_on(b=False)
    panel.tick_params(colors=INK, length=0, bottom=False, labelbottom=False)


def bar_name(server: Facts) -> str:
    """A server's label, with a star if it runs another model."""
    if server["same_model"]:
        return str(server["label"])
    return f"{server['label']} *"


def colour(name: str) -> str:
    if name == POTLUCK:
        return OURS
    return ECHOES if name.startswith(BARE_SERVERS) else PEERS


def label(rates: Mapping[str, float], name: str) -> str:
    """The rate, and how many times it Potluck's is."""
    rate = f"{rates[name]:,.0f}"
    if name == POTLUCK or POTLUCK not in rates:
        return rate
    ratio = rates[POTLUCK] / rates[name]
    if ratio >= 10:
        return f"{rate}  ({ratio:,.0f} ×)"
    return f"{rate}  ({ratio:.2f} ×)"


if __name__ == "__main__":
    main()
