"""The published run as a file: keys and predictions."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from batch.history import History
from batch.nightly import publications
from batch.publish import View
from potluck.contract.errors import DataError, MissingStepError, UsageError
from potluck.contract.features import Publication
from potluck.contract.settings import Settings
from potluck.stores.arrow_types import ARROW_TYPES
from potluck.stores.embedded_redis import client, ensure_redis
from potluck.stores.repo import open_store

WRITERS = {".csv": pcsv.write_csv, ".parquet": pq.write_table}


def export_run(settings: Settings, service: str, to: Path, name: str = "prediction", keys: Path | None = None) -> int:
    """Write the published run of a precomputed service and answer its number of rows.

    Args:
        to: a `.csv` or `.parquet` file, replaced whole.
        name: what to call the column of predictions (a contest wants the label's name).
        keys: a CSV whose key column chooses and orders the rows; None takes all, by key.

    Raises:
        UsageError: another kind of file, or no such service.
        MissingStepError: no run was published yet.
        DataError: `keys` asks for an entity that the run does not hold.
    """
    if to.suffix not in WRITERS:
        raise UsageError(f"expected a file that ends with {' or '.join(WRITERS)}, got {to.name}")
    store = open_store(settings.repo)
    publication = find_publication(settings, store.project, service)
    ensure_redis(settings)
    pointer = View(client(settings), store.project, publication).published()
    if pointer is None:
        raise MissingStepError(f"{service} has no published run yet; run `potluck nightly` first")
    key, dtype = publication.key.name, ARROW_TYPES[publication.key.dtype]
    run = History(store, publication).read(pointer, [key, "prediction"]).sort_by(key)
    chosen = run if keys is None else choose(run, key, read_keys(keys, key, dtype))
    WRITERS[to.suffix](chosen.rename_columns([key, name]), to)
    return int(chosen.num_rows)


def find_publication(settings: Settings, project: str, service: str) -> Publication:
    known = {task.publication.service: task.publication for task in publications(settings, project)}
    if service not in known:
        raise UsageError(
            f"expected a precomputed service, one of {', '.join(sorted(known)) or 'none yet'}; got {service}"
        )
    return known[service]


def read_keys(path: Path, key: str, dtype: pa.DataType) -> pa.Array:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = [row[key] for row in csv.DictReader(file)]
        return pa.array(found, pa.string()).cast(dtype)
    except (OSError, KeyError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise DataError(f"expected a CSV with the column {key} ({dtype}) in {path}: {error!r}") from None


def choose(run: pa.Table, key: str, wanted: pa.Array) -> pa.Table:
    """The rows of the wanted keys, in their order."""
    rows = pc.index_in(wanted, value_set=run[key].combine_chunks())
    if rows.null_count:
        missing = wanted.filter(pc.is_null(rows))
        raise DataError(f"the published run holds no prediction for {key} {missing[0]} and {len(missing) - 1} others")
    return run.take(rows)
