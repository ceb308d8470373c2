"""For a repo's `ingest.py`: the source behind a precomputed service's view."""

from potluck.stores.ingest.predictions import predictions_schema

__all__ = ["predictions_schema"]
