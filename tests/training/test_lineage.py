"""The commit that a model is made from, as its run names it."""

import subprocess
from pathlib import Path

import pytest

from training.lineage import git_commit

AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.com")


def run_git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *AUTHOR, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "--quiet")
    (tmp_path / "definitions.py").write_text("x = 1\n")
    run_git(tmp_path, "add", "definitions.py")
    run_git(tmp_path, "commit", "--quiet", "--no-gpg-sign", "--message", "first")
    return tmp_path


def test_the_commit_of_a_checkout_is_named_whole(checkout: Path) -> None:
    run_git(checkout, "tag", "v1")  # a tag does not take the commit's place
    assert git_commit(checkout) == run_git(checkout, "rev-parse", "HEAD")


def test_a_checkout_with_changed_files_is_marked(checkout: Path) -> None:
    (checkout / "definitions.py").write_text("x = 2\n")
    assert git_commit(checkout) == f"{run_git(checkout, 'rev-parse', 'HEAD')}-dirty"


def test_a_folder_that_is_no_checkout_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) is None
