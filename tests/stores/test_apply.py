"""What `potluck apply` refuses, it refuses before the registry is touched."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import warm_python


@pytest.fixture
def copy(iris: Any, tmp_path: Path) -> Path:
    """A copy of the repo, to be spoilt."""
    return Path(
        shutil.copytree(
            iris.repo.path, tmp_path / "repo", ignore=shutil.ignore_patterns("__pycache__")
        )
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"objective": "multiclass"', '"objective": "guess"', "regression, binary, multiclass"),
        ('tags={"scored_by": "iris_hybrid"}', 'tags={"scored_by": "nobody"}', "nobody"),
        (
            'tags={"scored_by": "iris_hybrid"}',
            'tags={"scored_by": "iris_hybrid", "owner": "me"}',
            "owner",
        ),
        ('tags={"required": "true"}', 'tags={"max_age": "60"}', "max_age"),
        ('tags={"required": "true"}', 'tags={"default": "wide"}', "default"),
        ('"observations.species"', '"species"', "source.column"),
        (
            'mode="python",\n    sources=[visit, petal_record]',
            'mode="pandas",\n    sources=[visit, petal_record]',
            "needs mode=.python.",
        ),
        ("petal / sepal", "petal / sepal * SCALE", "SCALE"),
        ("def parquet", "def parquet(:", "SyntaxError"),
    ],
)
def test_a_definition_that_breaks_a_rule_is_refused(
    iris: Any, copy: Path, old: str, new: str, said: str
) -> None:
    text = (copy / "definitions.py").read_text()
    assert old in text
    (copy / "definitions.py").write_text(text.replace(old, new))
    home = {"POTLUCK_HOME": str(copy.parent / "home")}
    command = [sys.executable, "-m", "cli.main", "apply", "--repo", str(copy)]
    ended = warm_python.run(
        command, env={**iris.environment, **home}, capture_output=True, text=True
    )
    assert ended.returncode == 1, ended.stdout
    assert re.search(said, ended.stderr), ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (copy.parent / "home" / "feast.db").exists()
