"""Admission: a bundle is checked once, in a child process, because a corrupt model aborts the
process that opens it.

A receipt says which bundle passed under which versions of the libraries; with one, opening costs
the digests only.
"""

import hashlib
import json
import logging
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from potluck.contract.errors import BundleError, PotluckError
from potluck.contract.files import write_whole
from potluck.contract.formats import NEWEST
from potluck.contract.manifest import bundle_digest, verify_manifest
from potluck.scoring.lightgbm_library import library_version

logger = logging.getLogger("potluck.scoring")

CHECK_SECONDS = 120.0


def admit(folder: Path, receipts: Path) -> str:
    """Check a bundle unless it has a receipt, and answer its digest.

    What passes is admitted, whether or not its receipt can be written: without one it is checked
    again next time.

    Raises:
        BundleError: digests, contract, model or golden rows don't hold; the message says which.
        OSError: no child process could be started.
    """
    verify_manifest(folder)
    digest = bundle_digest(folder)
    receipt = receipts / f"{digest[:32]}-{environment_key()}.json"
    if not lies_there(receipt):
        rows = check_in_child(folder)
        write_receipt(
            receipt, {"format": NEWEST, "bundle": digest, "golden_rows": rows, **versions()}
        )
    return digest


def lies_there(receipt: Path) -> bool:
    try:
        return receipt.exists()
    except OSError:  # a folder that this user may not read, a broken disk
        return False


def check_in_child(folder: Path) -> int:
    command = [sys.executable, "-m", "potluck.scoring.check", str(folder)]
    try:
        child = subprocess.run(
            command, capture_output=True, timeout=CHECK_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise BundleError(
            f"bundle {folder.name} hangs: it did not score within {CHECK_SECONDS:.0f} s"
        ) from None
    if child.returncode != 0:
        said = (child.stderr.decode(errors="replace").strip().splitlines() or ["nothing"])[-1]
        raise BundleError(
            f"bundle {folder.name} was refused (its check ended with {child.returncode}): {said}; "
            "train again"
        )
    passed = re.search(rb"^golden rows: (\d+)$", child.stdout, re.MULTILINE)
    if passed is None:
        raise BundleError(
            f"bundle {folder.name} was refused: its code ended the check before it was done; train "
            "again"
        )
    return int(passed[1])


def versions() -> dict[str, str]:
    """What decides over the bits of a score."""
    return {
        "lightgbm": library_version(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def environment_key() -> str:
    return hashlib.sha256(json.dumps(versions(), sort_keys=True).encode()).hexdigest()[:16]


def write_receipt(path: Path, content: dict[str, object]) -> None:
    """Keep a receipt, or say that it can't be kept: a full disk is no fault of the bundle."""
    try:
        write_whole(path, json.dumps(content, indent=1).encode() + b"\n")
    except OSError as error:
        logger.warning(
            "bundle %.12s passed its check, but its receipt can't be written (%s): it is checked "
            "at each start",
            content["bundle"],
            error,
        )


def main(folder: Path) -> int:
    """The child: open the bundle, compare its scorer with LightGBM, score its golden rows, print
    how many there are."""
    from potluck.scoring.bundle import MODEL_FILE, open_bundle
    from potluck.scoring.golden import check_golden
    from potluck.scoring.probe import check_scorer

    try:
        model = open_bundle(folder)
        check_scorer(model.scorer, (folder / MODEL_FILE).read_bytes())
        print(f"golden rows: {check_golden(model, folder)}")
    except PotluckError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except SystemExit:
        print("its code ended the process", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
