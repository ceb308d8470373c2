"""For a repo's `definitions.py`: short forms of Feast objects."""

from potluck.stores.definitions.declare import parquet, pass_through, predictions

__all__ = ["parquet", "pass_through", "predictions"]
