"""What a value of `--param` may be: text in, a value of the kind out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from potluck.contract.fields import LARGEST_OF

Value = str | int | float | bool
Bounded = TypeVar("Bounded", int, float)

LARGEST_INT32 = LARGEST_OF["int32"]
"""LightGBM keeps every integer parameter in 32 bits."""


@dataclass(frozen=True)
class Kind:
    """What a parameter takes."""

    expected: str
    read: Callable[[str], Value]
    """Raises ValueError where the text is not of this kind."""


def integer_kind(least: int, most: int | None = None) -> Kind:
    def read(text: str) -> int:
        return check_span(int(text), least, LARGEST_INT32 if most is None else most)

    return Kind(f"a whole number {span(least, most)}", read)


def number_kind(least: float, most: float | None = None, *, open_below: bool = False) -> Kind:
    def read(text: str) -> float:
        found = check_span(float(text), least, most)
        if open_below and found == least:
            raise ValueError(text)
        return found

    if not open_below:
        told = span(least, most)
    elif most is None:
        told = f"above {least:g}"
    else:
        told = f"above {least:g} and up to {most:g}"
    return Kind(f"a number {told}", read)


def choice_kind(*choices: str) -> Kind:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return Kind(f"one of {', '.join(choices)}", read)


def boolean_kind() -> Kind:
    names = {"true": True, "1": True, "false": False, "0": False}

    def read(text: str) -> bool:
        if text.lower() not in names:
            raise ValueError(text)
        return names[text.lower()]

    return Kind("true or false", read)


def check_span(found: Bounded, least: float, most: float | None) -> Bounded:
    """Return the number if it is finite and within the span.

    Raises:
        ValueError: it is not.
    """
    largest = math.inf if most is None else most
    # Compared, and not asked by math.isfinite, which overflows where an integer has 400 digits.
    if not least <= found <= largest or abs(found) == math.inf:
        raise ValueError(found)
    return found


def span(least: float, most: float | None) -> str:
    return f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"


ANY = -math.inf
SHARE = number_kind(0, 1, open_below=True)
WEIGHT = number_kind(0)
