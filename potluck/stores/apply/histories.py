"""The folders into which nightly runs write their predictions."""

from pathlib import Path

import pyarrow as pa
from feast import FeatureStore, FeatureView

from potluck.contract.fields import Field
from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.definitions.tags import DTYPES
from potluck.stores.ingest.sources import write_schema
from potluck.stores.parquet.arrow_types import ARROW_TYPES
from potluck.stores.parquet.offline_reads import local_path


def make_histories(store: FeatureStore, definitions: dict[str, Definition]) -> None:
    """Make the folder into which the nightly run writes its predictions, where nobody has."""
    for definition in definitions.values():
        for publication in definition.contract.publications:
            make_history(store.get_feature_view(publication.view), publication.key)


def make_history(view: FeatureView, key: Field) -> None:
    folder = Path(local_path(view.batch_source))
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_schema(folder, history_schema(view, key))


def history_schema(view: FeatureView, key: Field) -> pa.Schema:
    time = view.batch_source.timestamp_field
    columns = [(key.name, ARROW_TYPES[key.dtype]), (time, pa.timestamp("us", tz="UTC"))]
    for field in view.features:
        dtype = DTYPES[str(field.dtype)]
        columns.append((field.name, ARROW_TYPES[dtype]))
    return pa.schema(columns)
