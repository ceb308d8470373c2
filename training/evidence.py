"""A picture for people: which columns a model uses most."""

from collections.abc import Mapping

from matplotlib.figure import Figure

SHOWN = 30


def importance_figure(service: str, gains: Mapping[str, float]) -> Figure:
    """Draw a horizontal bar for each of the columns with the largest total gain."""
    largest = sorted(gains, key=lambda name: gains[name], reverse=True)[:SHOWN]
    top = largest[::-1]  # matplotlib draws the first bar at the bottom
    figure = Figure(figsize=(8, 0.28 * len(top) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(top, [gains[name] for name in top], color="#3b6ea5")
    axes.set_xlabel("total gain of the column's splits")
    axes.set_title(f"{service}: feature importance")
    return figure
