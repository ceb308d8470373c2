"""Admission: whatever is wrong with a bundle is an error with words, and never the end of this
process."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from potluck.contract.errors import BundleError
from potluck.contract.manifest import MANIFEST, bundle_digest, write_manifest
from potluck.scoring import check
from potluck.scoring.bundle import BUNDLE_FILES, GOLDEN_FILE, MODEL_FILE
from potluck.scoring.check import admit

HANGS = "def {name}(inputs):\n    while True:\n        pass\n"
LEAF_VALUES = re.compile(rb"leaf_value=([^\n]+)")


@pytest.fixture
def receipts(tmp_path: Path) -> Path:
    return tmp_path / "receipts"


def rewrite(bundle: Path, name: str, content: bytes) -> None:
    """Change a file and the manifest with it, as whoever packed it wrong would."""
    (bundle / name).write_bytes(content)
    write_manifest(bundle, BUNDLE_FILES)


def assert_refused(bundle: Path, receipts: Path, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        admit(bundle, receipts)
    assert not receipts.exists(), "a refused bundle has no receipt"


def change_three_leaves(text: bytes) -> bytes:
    """Another first digit for three leaves of the first tree."""
    leaves = LEAF_VALUES.search(text)
    assert leaves is not None
    changed = bytearray(text)
    starts = [leaves.start(1), *(leaves.start(1) + m.end() for m in re.finditer(rb" ", leaves[1]))]
    for start in starts[:3]:
        digit = start + (1 if changed[start : start + 1] == b"-" else 0)
        changed[digit] = ord("7") if changed[digit] != ord("7") else ord("8")
    return bytes(changed)


def test_a_whole_bundle_is_admitted_by_its_digest(bundle: Path, receipts: Path) -> None:
    assert admit(bundle, receipts) == bundle_digest(bundle)


def test_a_receipt_says_what_passed_under_which_libraries(bundle: Path, receipts: Path) -> None:
    digest = admit(bundle, receipts)
    (receipt,) = receipts.iterdir()
    said = json.loads(receipt.read_text())
    assert said["bundle"] == digest
    assert said["golden_rows"] == 32
    assert said.items() >= check.versions().items()


def test_with_a_receipt_no_child_is_started(
    bundle: Path, receipts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = admit(bundle, receipts)
    monkeypatch.setattr(sys, "executable", "/there/is/no/such/python")
    assert admit(bundle, receipts) == digest


def test_other_versions_need_a_receipt_of_their_own(
    bundle: Path, receipts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(bundle, receipts)
    monkeypatch.setattr(check, "library_version", lambda: "9.9.9")
    monkeypatch.setattr(sys, "executable", "/there/is/no/such/python")
    with pytest.raises(FileNotFoundError):
        admit(bundle, receipts)


@pytest.mark.parametrize("library", ["lightgbm", "numpy", "python", "machine"])
def test_whatever_decides_over_bits_is_in_the_environments_key(
    monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    before, others = check.environment_key(), {**check.versions(), library: "another"}
    monkeypatch.setattr(check, "versions", lambda: others)
    assert check.environment_key() != before


def test_a_bundle_changed_after_its_receipt_is_refused(bundle: Path, receipts: Path) -> None:
    admit(bundle, receipts)
    (bundle / MODEL_FILE).write_bytes(change_three_leaves((bundle / MODEL_FILE).read_bytes()))
    with pytest.raises(BundleError, match=r"model\.txt .* is changed"):
        admit(bundle, receipts)


def test_a_repacked_bundle_needs_a_receipt_of_its_own(bundle: Path, receipts: Path) -> None:
    admit(bundle, receipts)
    rewrite(bundle, MODEL_FILE, change_three_leaves((bundle / MODEL_FILE).read_bytes()))
    with pytest.raises(BundleError, match="golden row"):
        admit(bundle, receipts)


def test_a_changed_file_is_refused_by_its_digest(
    bundle: Path, receipts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/there/is/no/such/python")
    (bundle / MODEL_FILE).write_bytes((bundle / MODEL_FILE).read_bytes()[:-1])
    assert_refused(bundle, receipts, r"model\.txt .* is changed")


@pytest.mark.parametrize("share", [0.0, 0.4, 0.95])
def test_a_truncated_model_is_refused_even_under_a_new_manifest(
    bundle: Path, receipts: Path, share: float
) -> None:
    text = (bundle / MODEL_FILE).read_bytes()
    rewrite(bundle, MODEL_FILE, text[: int(text.index(b"end of trees") * share)])
    assert_refused(bundle, receipts, "was refused")


def test_a_model_that_is_none_is_refused(bundle: Path, receipts: Path) -> None:
    rewrite(bundle, MODEL_FILE, b"\x00\xff no model " * 100)
    assert_refused(bundle, receipts, "was refused")


def test_three_changed_bytes_are_refused_by_the_golden_rows(bundle: Path, receipts: Path) -> None:
    """LightGBM itself opens such a model, and predicts something else."""
    rewrite(bundle, MODEL_FILE, change_three_leaves((bundle / MODEL_FILE).read_bytes()))
    assert_refused(bundle, receipts, r"golden row \d+ of bundle bundle scores")


def test_a_contract_of_another_shape_is_refused(parts: Any, tmp_path: Path, receipts: Path) -> None:
    narrow = replace(parts, contract=replace(parts.contract, columns=parts.contract.columns[:-1]))
    narrow.write(tmp_path / "narrow", golden=parts.golden())
    assert_refused(tmp_path / "narrow", receipts, "the model takes 7 columns, the contract has 6")


def test_a_contract_that_is_none_is_refused(bundle: Path, receipts: Path) -> None:
    rewrite(bundle, "contract.json", b"{}")
    assert_refused(bundle, receipts, r"contract\.json does not fit")


def test_a_contract_of_another_label_space_is_refused(
    parts: Any, tmp_path: Path, receipts: Path
) -> None:
    other = replace(parts, contract=replace(parts.contract, transform="identity"))
    other.write(tmp_path / "other", golden=parts.golden())
    assert_refused(tmp_path / "other", receipts, r"golden row 0 of bundle other predicts")


def harmed(golden: dict[str, Any], harm: Callable[[dict[str, Any]], None]) -> bytes:
    harm(golden)
    return json.dumps(golden).encode()


def other_score(golden: dict[str, Any]) -> None:
    golden["raw"][5][0] += 1e-15 * abs(golden["raw"][5][0]) * 4


def other_input(golden: dict[str, Any]) -> None:
    golden["inputs"]["weight"] = [value + 10 for value in golden["inputs"]["weight"]]


def other_prediction(golden: dict[str, Any]) -> None:
    golden["predictions"][5] *= 1.0001


def no_input(golden: dict[str, Any]) -> None:
    del golden["inputs"]["stock"]


def fewer_scores(golden: dict[str, Any]) -> None:
    golden["raw"].pop()


def no_rows(golden: dict[str, Any]) -> None:
    golden.update(times=[], raw=[], predictions=[], inputs={name: [] for name in golden["inputs"]})


@pytest.mark.parametrize(
    "harm", [other_score, other_input, other_prediction, no_input, fewer_scores, no_rows]
)
def test_golden_rows_that_say_something_else_are_refused(
    bundle: Path, receipts: Path, harm: Callable[[dict[str, Any]], None]
) -> None:
    rewrite(bundle, GOLDEN_FILE, harmed(json.loads((bundle / GOLDEN_FILE).read_bytes()), harm))
    assert_refused(bundle, receipts, "was refused")


def test_golden_rows_that_are_none_are_refused(bundle: Path, receipts: Path) -> None:
    rewrite(bundle, GOLDEN_FILE, b"[]")
    assert_refused(bundle, receipts, r"golden\.json of bundle bundle can't be read")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def (",
        "1 / 0",
        "import os; os.abort()",
        "raise SystemExit(0)",
        "import os; os._exit(0)",
        "print('32'); exit()",
    ],
)
def test_functions_that_do_not_run_are_refused(
    parts: Any, tmp_path: Path, receipts: Path, source: str
) -> None:
    replace(parts, functions_source=source).write(tmp_path / "b", golden=parts.golden())
    assert_refused(tmp_path / "b", receipts, "bundle b")


def test_a_function_that_prints_is_nobodys_business(
    parts: Any, tmp_path: Path, receipts: Path
) -> None:
    talking = replace(
        parts,
        functions_source=f"import atexit\natexit.register(print, 'bye')\n{parts.functions_source}",
    )
    talking.write(tmp_path / "b", golden=parts.golden())
    admit(tmp_path / "b", receipts)


def test_a_hanging_function_is_refused(
    parts: Any, tmp_path: Path, receipts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "CHECK_SECONDS", 3.0)
    hanging = parts.functions_source + HANGS.format(name="share")
    replace(parts, functions_source=hanging).write(tmp_path / "b", golden=parts.golden())
    assert_refused(tmp_path / "b", receipts, "bundle b hangs")


def test_a_bundle_that_lacks_a_file_is_refused(bundle: Path, receipts: Path) -> None:
    (bundle / "functions.py").unlink()
    assert_refused(bundle, receipts, r"functions\.py .* can't be read")


def test_a_file_that_the_manifest_does_not_name_is_not_run(
    parts: Any, tmp_path: Path, receipts: Path
) -> None:
    """The manifest names every file that a bundle consists of, and so all code that runs."""
    parts.write(tmp_path / "b")
    write_manifest(tmp_path / "b", tuple(name for name in BUNDLE_FILES if name != "functions.py"))
    assert_refused(tmp_path / "b", receipts, r"functions\.py")


def test_a_folder_without_a_manifest_is_refused(bundle: Path, receipts: Path) -> None:
    (bundle / MANIFEST).unlink()
    assert_refused(bundle, receipts, MANIFEST)
