"""Published runs in the offline store: a folder of parquet files, one for each as-of date."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureStore
from feast.infra.offline_stores.file_source import FileSource
from pydantic import ValidationError

from batch.profile import PROFILE, Profile
from batch.publish import predicted_rows, stored_columns
from potluck.contract.errors import DataError, DefinitionError, MissingStepError
from potluck.contract.files import replacing
from potluck.contract.publication import RUN_ID, Pointer, Publication
from potluck.stores.ingest.sources import SCHEMA_FILE
from potluck.stores.parquet.arrow_types import ARROW_TYPES
from potluck.stores.parquet.offline_reads import data_source

PROFILE_KEY = b"potluck.profile"
MOMENT = pa.timestamp("us", tz="UTC")


class History:
    """The history of one precomputed service."""

    def __init__(self, store: FeatureStore, publication: Publication) -> None:
        """
        Raises:
            DefinitionError: its source is no parquet source.
            MissingStepError: the folder that `potluck ingest` leaves is gone.
            DataError: it has not the columns of a run.
        """
        source = data_source(store, publication.source)
        if not isinstance(source, FileSource):
            told = f"expected source {source.name} of {publication.service}"
            raise DefinitionError(f"{told} to be a parquet FileSource")
        self.publication, self.folder = publication, Path(source.path)
        self.time = source.timestamp_field
        columns = {field.name: ARROW_TYPES[field.dtype] for field in publication.features}
        key = publication.key
        self.schema = pa.schema({key.name: ARROW_TYPES[key.dtype], self.time: MOMENT, **columns})
        self._check()

    def _check(self) -> None:
        if not self.folder.exists():
            told = f"the history {self.folder} is not there"
            raise MissingStepError(f"{told}; run `potluck ingest` first")
        if not self.folder.is_dir():
            told = f"the history {self.folder} is a single file, as version 0.1.0 kept it"
            raise MissingStepError(f"{told}; run `potluck ingest` first")
        declared = self.folder / SCHEMA_FILE
        found = pq.read_schema(declared) if declared.exists() else self.schema
        lacking = [name for name in self.schema.names if name not in found.names]
        if lacking:
            raise DataError(
                f"the history {self.folder} does not hold the columns of a run: "
                f"{', '.join(lacking)} not among {', '.join(found.names)}; correct the schema in "
                "ingest.py, move the folder away and ingest again"
            )

    def file(self, as_of: datetime) -> Path:
        return self.folder / f"{as_of.astimezone(UTC):%Y%m%dT%H%M%S.%f}Z.parquet"

    def write(self, tables: Iterable[pa.Table], pointer: Pointer, profile: Profile) -> None:
        """Keep a run, in the place of an earlier one of the same as-of date.

        Args:
            tables: scored rows, in the order of their keys.
        """
        schema = self.schema.with_metadata({PROFILE_KEY: PROFILE.dump_json(profile)})
        with (
            replacing(self.file(pointer.as_of)) as staging,
            pq.ParquetWriter(staging, schema, compression="zstd") as writer,
        ):
            for table in tables:
                rows = self.rows(predicted_rows(table), pointer)
                writer.write_table(rows.replace_schema_metadata(schema.metadata))

    def rows(self, table: pa.Table, pointer: Pointer) -> pa.Table:
        """Return scored rows as the view's source declares them."""
        key = self.publication.key.name
        columns: dict[str, Any] = {
            **stored_columns(self.publication, table, pointer),
            # Last, as the source's key and timestamp may bear the name of a feature.
            key: table[key].combine_chunks(),
            self.time: pointer.as_of,
        }
        arrays = []
        for field in self.schema:
            array = columns.get(field.name)
            if not isinstance(array, pa.Array):  # one value, or none, for all rows
                array = pa.repeat(pa.scalar(array, field.type), table.num_rows)
            arrays.append(array.cast(field.type))
        return pa.table(arrays, schema=self.schema)

    def profile(self, pointer: Pointer) -> Profile | None:
        """Return the profile of a kept run; None where the run is gone."""
        try:
            metadata = pq.read_schema(self.file(pointer.as_of)).metadata or {}
            found = PROFILE.validate_json(metadata.get(PROFILE_KEY, b""))
        except (OSError, pa.ArrowException, ValidationError):
            return None
        return found if found.run_id == pointer.run_id else None

    def read(self, pointer: Pointer, names: list[str]) -> pa.Table:
        """Read columns of a kept run.

        Raises:
            MissingStepError: it is not kept.
        """
        try:
            table = pq.read_table(self.file(pointer.as_of), columns=[*names, RUN_ID])
        except FileNotFoundError:
            table = None
        if table is None or table[RUN_ID].unique().to_pylist() not in ([], [pointer.run_id]):
            told = f"the published run {pointer.run_id} is not in the history {self.folder}"
            raise MissingStepError(f"{told}; run `potluck nightly` again")
        return table.select(names)
