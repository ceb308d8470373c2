"""Which dates a record may bear: those that every part of the way can hold."""

from datetime import UTC, datetime

EARLIEST = datetime(1678, 1, 1, tzinfo=UTC)
LATEST = datetime(2262, 1, 1, tzinfo=UTC)
"""First moment beyond the range. Feast and pandas count nanoseconds in 64 bits, which hold no more
years than these."""
