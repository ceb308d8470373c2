"""A bundle on disk: writing one, and opening one for scoring.

bundle/
  contract.json   the feature contract, completed by training
  functions.py    the on-demand functions' own source
  model.txt       LightGBM's native text
  golden.json     rows, and what each must give
  MANIFEST.json   sha256 of every file
"""

from pathlib import Path

from potluck.contract.errors import BundleError
from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.manifest import verify_manifest, write_manifest
from potluck.scoring.model import Model

CONTRACT_FILE, FUNCTIONS_FILE, MODEL_FILE, GOLDEN_FILE = (
    "contract.json",
    "functions.py",
    "model.txt",
    "golden.json",
)
BUNDLE_FILES = (CONTRACT_FILE, FUNCTIONS_FILE, MODEL_FILE, GOLDEN_FILE)


def open_bundle(folder: Path) -> Model:
    """Check a bundle's digests and open it.

    A bundle whose digests hold may still abort the process, if it was packed wrong: only open what
    `potluck.scoring.check` admitted.

    Raises:
        BundleError: a file is missing, changed, or not what its name says.
    """
    lacking = sorted(set(BUNDLE_FILES) - set(verify_manifest(folder)))
    if lacking:
        raise BundleError(
            f"the manifest of bundle {folder.name} does not list {', '.join(lacking)}; train again"
        )
    contract = read_contract((folder / CONTRACT_FILE).read_bytes())
    return Model(
        contract, (folder / FUNCTIONS_FILE).read_text(), (folder / MODEL_FILE).read_bytes()
    )


def write_bundle(
    folder: Path, contract: FeatureContract, functions_source: str, model_text: bytes, golden: bytes
) -> str:
    """Write a bundle's files and answer its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONTRACT_FILE).write_bytes(contract.to_json())
    (folder / FUNCTIONS_FILE).write_text(functions_source)
    (folder / MODEL_FILE).write_bytes(model_text)
    (folder / GOLDEN_FILE).write_bytes(golden)
    return write_manifest(folder, BUNDLE_FILES)
