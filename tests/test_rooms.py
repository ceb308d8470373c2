"""The use case stays in its room."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("potluck", "training", "serving", "batch", "scaffold", "cli")


@pytest.mark.parametrize("room", ROOMS)
def test_no_shared_room_knows_what_the_seed_use_case_is_about(room: str) -> None:
    words = re.compile(r"\bhouse|SalePrice|LotArea", re.IGNORECASE)
    found = [
        f"{path}: {line}"
        for path in (ROOT / room).rglob("*.py")
        for line in path.read_text().splitlines()
        if words.search(line)
    ]
    assert list((ROOT / room).rglob("*.py"))
    assert found == []


def test_every_example_is_definitions_and_ingest_alone() -> None:
    for folder in (ROOT / "examples").iterdir():
        names = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
        assert names == {"feature_store.yaml", "definitions.py", "ingest.py", ".feastignore"}


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    for name in (
        "requirements.lock",
        "docker/requirements-serving.lock",
        "docker/requirements-batch.lock",
    ):
        text = (ROOT / name).read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
