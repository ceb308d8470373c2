"""Fuzzers of the server: `make fuzz`."""
