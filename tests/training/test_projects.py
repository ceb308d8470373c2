"""Projects, as a message names them."""

import pytest

from training.projects import of_projects


@pytest.mark.parametrize(
    ("projects", "text"),
    [
        (None, ""),
        (frozenset({"iris"}), " of project iris"),
        (frozenset({"iris", "crm"}), " of the projects crm, iris"),
    ],
)
def test_one_project_or_several_are_named(projects: frozenset[str] | None, text: str) -> None:
    assert of_projects(projects) == text
