"""What a benchmark says while it works: on standard error, so that tables stay by themselves."""

import sys


def print_progress(text: str) -> None:
    """Say what begins now."""
    print(f"{text} ...", file=sys.stderr, flush=True)
