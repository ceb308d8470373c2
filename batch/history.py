"""Published runs in the offline store: one parquet file, one run for each as-of date."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import FeatureStore
from feast.infra.offline_stores.file_source import FileSource

from batch.publish import stored_rows
from batch.score import Scores
from potluck.contract.errors import DataError, DefinitionError, MissingStepError
from potluck.contract.features import Publication
from potluck.contract.publication import Pointer
from potluck.stores.offline import ARROW_TYPES, data_source
from potluck.stores.sources import write_parquet


def write_history(store: FeatureStore, publication: Publication, scores: Scores, pointer: Pointer) -> None:
    """Keep a run, in the place of an earlier one of the same as-of date."""
    path, time_column = history_file(store, publication)
    run = history_table(publication, scores, pointer, time_column)
    kept = read_history(path, run.schema)
    kept = kept.filter(pc.not_equal(kept[time_column], pa.scalar(pointer.as_of, pa.timestamp("us", tz="UTC"))))
    whole = pa.concat_tables([kept, run])
    handle, staging = tempfile.mkstemp(prefix=".history-", dir=path.parent)
    os.close(handle)
    try:
        write_parquet(Path(staging), whole)
        os.chmod(staging, 0o644)
        os.replace(staging, path)
    finally:
        Path(staging).unlink(missing_ok=True)


def history_file(store: FeatureStore, publication: Publication) -> tuple[Path, str]:
    source = data_source(store, publication.source)
    if not isinstance(source, FileSource):
        raise DefinitionError(f"expected source {source.name} of {publication.service} to be a parquet FileSource")
    return Path(source.path), source.timestamp_field


def history_table(publication: Publication, scores: Scores, pointer: Pointer, time_column: str) -> pa.Table:
    rows = list(stored_rows(publication, scores, pointer))
    columns: dict[str, Any] = {
        publication.key.name: pa.array(scores.keys, ARROW_TYPES[publication.key.dtype]),
        time_column: pa.array([pointer.as_of] * len(rows), pa.timestamp("us", tz="UTC")),
    }
    for field in publication.features:
        columns[field.name] = pa.array([row[field.name] for row in rows], ARROW_TYPES[field.dtype])
    return pa.table(columns)


def read_history(path: Path, schema: pa.Schema) -> pa.Table:
    """What is kept, in the columns of a run.

    Raises:
        MissingStepError: the file that `potluck ingest` leaves is gone.
        DataError: it has not the columns of a run.
    """
    if not path.exists():
        raise MissingStepError(f"the history {path} is not there; run `potluck ingest` first")
    try:
        return pq.read_table(path, columns=schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the history {path} does not hold the columns of a run: {reason}") from None
