"""A training tells how far it is, in parts of a whole that is known before it begins."""

from training.progress import Meter


def test_parts_are_told_as_the_iterations_are_done() -> None:
    told: list[int] = []
    with Meter(told.append).phase(100, 10) as step:
        step(4)
        assert sum(told) == 40
        step(5)
        assert sum(told) == 90
    assert sum(told) == 100


def test_a_phase_that_ends_early_or_late_comes_to_the_parts_announced() -> None:
    for iterations in (3, 12):
        told: list[int] = []
        with Meter(told.append).phase(100, 10) as step:
            step(iterations)
            assert sum(told) == min(100, 10 * iterations)
        assert sum(told) == 100
