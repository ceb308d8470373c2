"""A bundle as an MLflow model without a pickle: named, typed columns in, predictions out."""

import platform
from pathlib import Path
from typing import Any

from mlflow.models import Model, ModelSignature
from mlflow.models.utils import _save_example
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from potluck.contract.features import FeatureContract
from potluck.contract.fields import DType, Field
from potluck.contract.manifest import MANIFEST, listed_files
from potluck.scoring.bundle import MODEL_FILE
from potluck.scoring.golden import read_golden
from potluck.scoring.pyfunc import REQUEST_TIME
from potluck.scoring.transform import probability_column

LOADER = "potluck.scoring.pyfunc"
EXAMPLE_ROWS = 5
TYPES: dict[DType, DataType] = {
    "int64": DataType.long,
    "int32": DataType.integer,
    "float64": DataType.double,
    "string": DataType.string,
    "bool": DataType.boolean,
}


class BundleFlavor:
    """Packs a bundle for `Model.log`.

    Flavours: `python_function` is the whole service (`potluck.scoring.pyfunc`); `lightgbm` is the
    bare booster, whose columns are those of the encoded matrix.
    """

    def __init__(self, contract: FeatureContract) -> None:
        self.contract = contract

    def save_model(self, path: str, mlflow_model: Model, bundle: Path, **_: Any) -> None:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*listed_files(bundle), MANIFEST):
            (folder / name).write_bytes((bundle / name).read_bytes())
        mlflow_model.signature = signature(self.contract)
        _save_example(mlflow_model, example_rows(self.contract, bundle), str(folder))
        mlflow_model.add_flavor("lightgbm", lgb_version=None, data=MODEL_FILE)
        mlflow_model.add_flavor(
            "python_function", loader_module=LOADER, python_version=platform.python_version()
        )
        mlflow_model.save(str(folder / "MLmodel"))


def signature(contract: FeatureContract) -> ModelSignature:
    """Make the signature: request fields, then looked-up ones; predictions; the request time."""
    found = ModelSignature(
        inputs=Schema([input_column(field) for field in contract.inputs]),
        outputs=Schema(output_columns(contract)),
        params=ParamSchema([ParamSpec(REQUEST_TIME, DataType.string, None)]),
    )
    # MLflow takes this to mean that the model checks its input itself. MLflow's own check refuses
    # an integer column with a gap, integers for a float and pandas categories, and drops unknown
    # columns.
    found._is_signature_from_type_hint = True
    return found


def input_column(field: Field) -> ColSpec:
    return ColSpec(TYPES[field.dtype], field.name, required=field.must_be_given)


def output_columns(contract: FeatureContract) -> list[ColSpec]:
    if not contract.classes:
        return [ColSpec(DataType.double, "prediction")]
    shares = [ColSpec(DataType.double, probability_column(label)) for label in contract.classes]
    return [ColSpec(label_type(contract), "prediction"), *shares]


def label_type(contract: FeatureContract) -> DataType:
    kinds = {
        bool: DataType.boolean,
        int: DataType.long,
        float: DataType.double,
        str: DataType.string,
    }
    return kinds[type(contract.classes[0])]


def example_rows(contract: FeatureContract, bundle: Path) -> list[dict[str, Any]]:
    """Return a few rows that the model learned from, as records.

    Records and not a data frame, which would turn an integer column with a null into floats.
    """
    inputs = read_golden(bundle).inputs
    names = [field.name for field in contract.inputs]
    rows = zip(*(inputs[name][:EXAMPLE_ROWS] for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]
