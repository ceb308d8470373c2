"""Potluck: one Feast feature repo in, three prediction services out."""

__version__ = "0.1.0"
