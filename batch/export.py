"""The published run as a table: keys and predictions, and details on demand."""

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from batch.history import History
from batch.tasks import find_tasks
from batch.view import View
from potluck.contract.errors import DataError, MissingStepError, UsageError
from potluck.contract.publication import (
    MODEL_VERSION,
    PREDICTION,
    PROBABILITIES,
    RUN_ID,
    Pointer,
    Publication,
)
from potluck.contract.settings import Settings
from potluck.redis.embedded import client, ensure_redis
from potluck.stores.definitions.repo import open_store
from potluck.stores.parquet.arrow_types import ARROW_TYPES

WRITERS = {".csv": pcsv.write_csv, ".parquet": pq.write_table}
PROBABILITY = "probability_"
DETAILS = (MODEL_VERSION, RUN_ID, "as_of")
NAMED = 5
MISSING = ("", "NA")


@dataclass(frozen=True)
class Export:
    """What is to be exported."""

    service: str
    name: str = PREDICTION
    """What to call the column of predictions (a contest wants the label's name)."""
    keys: Path | None = None
    """A CSV whose key column chooses and orders the rows; None takes all, by key."""
    details: bool = False
    """With the probabilities of classes, the model's version, the run and its as-of date."""


def read_published_table(settings: Settings, export: Export) -> pa.Table:
    """Read the published run of a precomputed service.

    Raises:
        UsageError: no such service, or a name that another column has.
        MissingStepError: no run was published yet.
        DataError: `keys` can't be read, or asks for an entity that the run does not hold.
    """
    store = open_store(settings.repo)
    publication = find_publication(settings, store.project, export.service)
    ensure_redis(settings)
    pointer = View(client(settings), store.project, publication).read_pointer().pointer
    if pointer is None:
        told = f"{export.service} has no published run yet"
        raise MissingStepError(f"{told}; run `potluck nightly` first")
    key, dtype = publication.key.name, ARROW_TYPES[publication.key.dtype]
    names = history_columns(publication, export)
    run = History(store, publication).read(pointer, names).sort_by(key)
    if export.keys is not None:
        run = take_keys(run, key, read_keys(export.keys, key, dtype))
    if export.details:
        run = add_details(run, pointer)
    return rename_prediction(run, export.name)


def write_table(table: pa.Table, to: Path) -> None:
    """Write a table to a file, in the format that the file's name ends with."""
    WRITERS[to.suffix](table, to)


def history_columns(publication: Publication, export: Export) -> list[str]:
    """Return the columns to read from the history."""
    wanted = [publication.key.name, PREDICTION]
    published = {feature.name for feature in publication.features}
    if export.details and PROBABILITIES in published:
        wanted.append(PROBABILITIES)
    return wanted


def add_details(run: pa.Table, pointer: Pointer) -> pa.Table:
    """Add a column for each class, and the columns that have one value for the whole run."""
    if PROBABILITIES in run.column_names:
        shares = run[PROBABILITIES].to_pylist()
        run = run.drop_columns([PROBABILITIES])
        for name, column in probability_columns(shares).items():
            run = run.append_column(name, column)
    moment = pa.scalar(pointer.as_of, pa.timestamp("us", tz="UTC"))
    values = (pointer.model_version, pointer.run_id, moment)
    for name, value in zip(DETAILS, values, strict=True):
        run = run.append_column(name, pa.repeat(value, run.num_rows))
    return run


def probability_columns(shares: list[str | None]) -> dict[str, pa.Array]:
    """Turn `{label: p}` as JSON, row by row, into a column for each label."""
    rows: list[dict[str, float]] = [json.loads(text or "{}") for text in shares]
    labels: dict[str, None] = {}  # in the order in which they come, each once
    for row in rows:
        labels.update(dict.fromkeys(row))
    columns = {}
    for label in labels:
        column = [row.get(label) for row in rows]
        columns[f"{PROBABILITY}{label}"] = pa.array(column, pa.float64())
    return columns


def rename_prediction(table: pa.Table, name: str) -> pa.Table:
    """
    Raises:
        UsageError: another column has this name.
    """
    columns = table.column_names
    place = columns.index(PREDICTION)
    names = [*columns[:place], name, *columns[place + 1 :]]
    if names.count(name) > 1:
        told = ", ".join(columns)
        raise UsageError(f"--name {name} is the name of another column, of {told}")
    return table.rename_columns(names)


def find_publication(settings: Settings, project: str, service: str) -> Publication:
    """
    Raises:
        UsageError: no champion fills a precomputed service of this name.
    """
    tasks = find_tasks(settings, project)
    known = {task.publication.service: task.publication for task in tasks}
    if service not in known:
        names = ", ".join(sorted(known)) or "none yet"
        raise UsageError(f"expected a precomputed service, one of {names}; got {service}")
    return known[service]


def read_keys(path: Path, key: str, dtype: pa.DataType) -> pa.Array:
    """Read the keys of a CSV, in their order.

    Raises:
        DataError: the file can't be read, has no such column, or a row has no key of this type.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            if key not in header:
                has = ", ".join(header) or "no header"
                raise DataError(f"expected a CSV with the column {key}; {path} has {has}")
            found = [(row[key] or "").strip() for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read as a CSV in UTF-8: {error}") from None
    return typed_keys(path, key, found, dtype)


def typed_keys(path: Path, key: str, texts: list[str], dtype: pa.DataType) -> pa.Array:
    empty = [f"row {row}" for row, text in enumerate(texts, 1) if text in MISSING]
    if empty:
        told = f"{len(empty)} have none: {first_few(empty)}"
        raise DataError(f"expected a {key} in every row of {path}; {told}")
    keys = pa.array(texts, pa.string())
    if pa.types.is_integer(dtype):
        # pandas writes 1678.0 where a gap made the column floats.
        keys = pc.replace_substring_regex(keys, r"\.0*$", "")
    try:
        return keys.cast(dtype)
    except pa.ArrowInvalid as error:
        raise DataError(f"expected {key} in {path} to be of type {dtype}: {error}") from None


def take_keys(run: pa.Table, key: str, wanted: pa.Array) -> pa.Table:
    """Take the rows of the wanted keys, in the keys' order, each as often as it is wanted.

    Raises:
        DataError: the run does not hold one of the keys.
    """
    rows = pc.index_in(wanted, value_set=run[key].combine_chunks())
    if rows.null_count:
        lacking = wanted.filter(pc.is_null(rows)).unique().to_pylist()
        told = f"{len(lacking)} keys: {key} {first_few(lacking)}"
        raise DataError(f"the published run holds no prediction for {told}")
    return run.take(rows)


def count_repeated_keys(table: pa.Table) -> dict[object, int]:
    """Count the keys (the first column) that come more than once."""
    counts = Counter(table.column(0).to_pylist())
    return {key: count for key, count in counts.items() if count > 1}


def first_few(items: list[object] | list[str]) -> str:
    """List the first items for a message."""
    more = ", …" if len(items) > NAMED else ""
    return ", ".join(map(str, items[:NAMED])) + more
