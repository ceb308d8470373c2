"""Faults under load, one after the other: `make bench-faults`."""
