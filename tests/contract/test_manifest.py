"""The manifest: which files a bundle has, and that they are unchanged."""

import hashlib
import json
from pathlib import Path

import pytest

from potluck.contract.errors import BundleError
from potluck.contract.manifest import (
    MANIFEST,
    bundle_digest,
    file_digest,
    verify_manifest,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "two.txt").write_text("two")
    write_manifest(tmp_path, ("two.txt", "one.txt"))
    return tmp_path


def test_a_file_digest_is_its_sha256(folder: Path) -> None:
    assert file_digest(folder / "one.txt") == hashlib.sha256(b"one").hexdigest()


def test_the_digest_of_a_bundle_is_its_manifests(folder: Path) -> None:
    manifest = (folder / MANIFEST).read_bytes()
    assert bundle_digest(folder) == hashlib.sha256(manifest).hexdigest()


def test_the_order_of_names_does_not_change_the_digest(folder: Path) -> None:
    assert write_manifest(folder, ("one.txt", "two.txt")) == write_manifest(
        folder, ("two.txt", "one.txt")
    )


def test_another_content_is_another_digest(folder: Path) -> None:
    before = bundle_digest(folder)
    (folder / "one.txt").write_text("another")
    assert write_manifest(folder, ("one.txt", "two.txt")) != before


def test_whole_bundles_pass_and_name_their_files(folder: Path) -> None:
    assert set(verify_manifest(folder)) == {"one.txt", "two.txt"}


def test_files_that_are_not_listed_are_ignored(folder: Path) -> None:
    (folder / "MLmodel").write_text("MLflow's own")
    assert "MLmodel" not in verify_manifest(folder)


def test_a_changed_file_is_refused_by_name(folder: Path) -> None:
    (folder / "two.txt").write_text("tw0")
    with pytest.raises(BundleError, match=r"two\.txt .* is changed: expected sha256"):
        verify_manifest(folder)


def test_a_missing_file_is_refused_by_name(folder: Path) -> None:
    (folder / "two.txt").unlink()
    with pytest.raises(BundleError, match=r"two\.txt .* can't be read"):
        verify_manifest(folder)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=MANIFEST):
        verify_manifest(tmp_path)
    with pytest.raises(BundleError, match=MANIFEST):
        bundle_digest(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", "{}", '{"files": []}', '{"files": null}', "\xff"]
)
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match=MANIFEST):
        verify_manifest(folder)


@pytest.mark.parametrize(
    "name", ["../outside.txt", "sub/inside.txt", "/{folder}/one.txt", "..", ".", "", "a\0b"]
)
def test_a_name_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    """Also where such a file is there, and is what the manifest says."""
    name = name.replace("/{folder}", str(folder))
    for path in (folder.parent / "outside.txt", folder / "sub" / "inside.txt"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("one")
    digest = file_digest(folder / "one.txt")
    (folder / MANIFEST).write_text(
        json.dumps({"files": {"two.txt": file_digest(folder / "two.txt"), name: digest}})
    )
    with pytest.raises(BundleError, match="lists something else than plain file names"):
        verify_manifest(folder)


def test_a_digest_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps({"files": {"one.txt": 1}}))
    with pytest.raises(BundleError, match="plain file names"):
        verify_manifest(folder)
