"""Pictures for people: which columns a model leans on."""

from collections.abc import Mapping

from matplotlib.figure import Figure

SHOWN = 30


def importance_figure(service: str, gains: Mapping[str, float]) -> Figure:
    """Horizontal bars of the columns with the largest total gain, largest on top."""
    top = sorted(gains.items(), key=lambda pair: pair[1], reverse=True)[:SHOWN][::-1]
    figure = Figure(figsize=(8, 0.28 * len(top) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    axes.barh([name for name, _ in top], [gain for _, gain in top], color="#3b6ea5")
    axes.set_xlabel("total gain of the column's splits")
    axes.set_title(f"{service}: feature importance")
    return figure
