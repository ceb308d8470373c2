"""Which bundles the log names: they are kept, so that every logged answer can be replayed."""

import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitoring.catch_up import caught_up
from potluck.contract.settings import Settings
from potluck.inference_log.layout import LogLayout

COLUMN = "bundle"


def logged_digests(settings: Settings) -> set[str]:
    """Find the digests of the bundles that answered a row which the log still holds.

    Raises:
        OSError: a file can't be read.
        Locked: another process has decoded for a minute.
    """
    if not LogLayout(settings.home).folder.is_dir():
        return set()
    digests: set[str] = set()
    with caught_up(settings) as decoder:
        for part in decoder.parts.own():
            with decoder.parts.files.open_input_file(part.path) as file:
                column = pq.read_table(file, columns=[COLUMN])[COLUMN]
            digests |= {each for each in pc.unique(column).to_pylist() if each is not None}
    return digests
