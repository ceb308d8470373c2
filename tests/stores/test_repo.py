"""A repo's project name, which every verb reads before it writes anything under it."""

from pathlib import Path

import pytest

from potluck.contract.errors import UsageError
from potluck.stores.definitions.repo import project_name


def repo(folder: Path, text: str) -> Path:
    (folder / "feature_store.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("name", ["pumps", "pumps_2025", "9lives", "köln", "P"])
def test_a_name_that_feast_takes_is_taken(tmp_path: Path, name: str) -> None:
    assert project_name(repo(tmp_path, f"project: {name}")) == name


@pytest.mark.parametrize(
    "name",
    ["my-pumps", "_pumps", "-pumps", "my pumps", "a/b", "a.b", "{a: 1}", "2025", "''", "", "true"],
)
def test_another_name_is_a_usage_error_with_examples(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UsageError, match="begins with a letter or digit, such as pumps or pumps_2025; got"
    ):
        project_name(repo(tmp_path, f"project: {name}"))


def test_a_name_from_the_environment_is_filled_in_as_feast_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_PROJECT", "pumps")
    assert project_name(repo(tmp_path, "project: ${OUR_PROJECT}")) == "pumps"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got NoneType"),
        ("- a", "got list"),
        ("project", "got str"),
        ("a: [", "no valid yaml"),
        ("a: b: c", "no valid"),
    ],
)
def test_a_file_that_is_no_mapping_is_a_usage_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        project_name(repo(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_of_other_bytes_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "feature_store.yaml").write_bytes(b"project: \xff\xfe")
    with pytest.raises(UsageError, match="no valid yaml"):
        project_name(tmp_path)


def test_a_folder_without_the_file_is_no_repo(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a Feast feature repo"):
        project_name(tmp_path)
