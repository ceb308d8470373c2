"""One pass of the decoder: what the workers wrote since the last one becomes rows of the log.

Each step leaves files from which the next one goes on:

1. rows are added to parquet files, which say how far they cover each worker's segments;
2. `decoded.json` says how far all of them are decoded;
3. a segment that is decoded and closed is removed.

A crash between 1 and 2 decodes rows again; those that a file covers are left out of it.
"""

import logging
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from monitoring.decode.bundles import Bundles
from monitoring.decode.personal import Personal, personal_of
from monitoring.decode.table import lookup_table, moment, prediction_table
from monitoring.parts import PartFiles, Position, concat, part_files
from potluck.contract.settings import Settings
from potluck.inference_log.counts import is_alive, read_counts
from potluck.inference_log.frames import DamagedSegment, Frame, read_frames
from potluck.inference_log.layout import LogLayout, segment_number, segments_of
from potluck.inference_log.progress import DecoderProgress, WorkerProgress, read_progress
from potluck.inference_log.rows import LoggedRow
from potluck.scoring.lookups import LookupReader
from potluck.scoring.releases import Releases

logger = logging.getLogger("potluck.log")

ROWS_AT_ONCE = 50_000
"""Rows that the decoder holds in memory."""


@dataclass(frozen=True)
class PlacedRow:
    """A row, and where its frame ends."""

    row: LoggedRow
    position: Position


class Decoder:
    """Decodes the segments of one home. One process at a time may: see `layout.decoder_lock`."""

    def __init__(
        self, layout: LogLayout, releases: Releases, parts: PartFiles, personal: Personal
    ) -> None:
        self.layout, self.parts, self.personal = layout, parts, personal
        self.bundles = Bundles(releases)
        self.lookups: dict[str, LookupReader] = {}
        self.workers: set[str] = set()
        self.progress: DecoderProgress = read_progress(layout.decoded)

    def decode_all(self) -> int:
        """Decode what the workers have written by now.

        Returns:
            How many rows.

        Raises:
            OSError: a file can't be read or written; the next call goes on from there.
        """
        before = self.progress.ended.logged + self.logged_of_living()
        folders = self.layout.worker_folders()
        self.workers = {folder.name for folder in folders}
        for folder in folders:
            if folder.name in self.progress.counted:
                shutil.rmtree(folder)
                continue
            # Asked first: what it wrote before it ended is read below.
            alive = is_alive(folder)
            self.decode_worker(folder, alive=alive)
        self.end_workers_without_folder()
        self.forget_removed_workers()
        return self.progress.ended.logged + self.logged_of_living() - before

    def logged_of_living(self) -> int:
        return sum(worker.logged for worker in self.progress.workers.values())

    def decode_worker(self, folder: Path, *, alive: bool) -> None:
        """Decode a worker's segments as far as they are written."""
        worker = self.progress.worker(folder.name)
        segments = segments_of(folder)
        for segment in segments:
            is_closed = not alive or segment != segments[-1]
            if segment_number(segment) >= worker.segment:
                self.decode_segment(folder.name, worker, segment, is_closed=is_closed)
            if is_closed:
                segment.unlink()
        if not alive:
            counts = read_counts(folder)
            self.progress.end_worker(folder.name, counts.answered, counts.dropped)
            self.progress.save(self.layout.decoded)
            shutil.rmtree(folder)

    def decode_segment(
        self, name: str, worker: WorkerProgress, segment: Path, *, is_closed: bool
    ) -> None:
        """Decode what is new in a segment, some rows at a time."""
        number = segment_number(segment)
        start = worker.offset if number == worker.segment else 0
        frames: list[Frame] = []
        rows = 0
        try:
            for frame in read_frames(segment.read_bytes(), start):
                frames.append(frame)
                rows += len(frame.rows)
                if rows >= ROWS_AT_ONCE:
                    self.take(name, worker, number, frames)
                    frames, rows = [], 0
        except DamagedSegment as error:
            logger.error("%s is damaged: %s; the rows behind it are lost", segment, error)
            is_closed = True
        self.take(name, worker, number, frames)
        if is_closed:
            worker.segment, worker.offset = number + 1, 0
            self.progress.save(self.layout.decoded)

    def take(self, name: str, worker: WorkerProgress, number: int, frames: list[Frame]) -> None:
        """Add frames to the log, and note how far it has come."""
        if not frames:
            return
        placed = [PlacedRow(row, (number, frame.end)) for frame in frames for row in frame.rows]
        last = frames[-1]
        self.add_rows(name, placed, (number, last.end))
        worker.segment, worker.offset = number, last.end
        worker.logged += len(placed)
        worker.answered, worker.dropped = last.answered, last.dropped
        self.progress.save(self.layout.decoded)

    def add_rows(self, worker: str, placed: list[PlacedRow], end: Position) -> None:
        """Add rows to the files of their services and days."""
        groups: dict[tuple[str, str], list[PlacedRow]] = defaultdict(list)
        for each in placed:
            day = f"{moment(each.row.request_time):%Y-%m-%d}"
            groups[each.row.service, day].append(each)
        for (service, day), group in groups.items():
            done = self.parts.tail(service, day).covered.get(worker, (-1, 0))
            fresh = [each.row for each in group if each.position > done]
            self.add_to_day(service, day, fresh, {worker: end})

    def add_to_day(
        self, service: str, day: str, rows: list[LoggedRow], covered: dict[str, Position]
    ) -> None:
        """Add rows of one service and day, a table for each bundle that answered."""
        bundles: dict[str | None, list[LoggedRow]] = defaultdict(list)
        for row in rows:
            bundles[row.bundle].append(row)
        tables = [self.table(bundle, those) for bundle, those in bundles.items()]
        # As one: a file that covers the frames must hold the rows of all their bundles.
        merged = merge_tables(tables)
        if merged is not None:
            self.parts.append(service, day, merged, covered, self.workers)

    def table(self, bundle: str | None, rows: list[LoggedRow]) -> pa.Table:
        if bundle is None:
            return lookup_table(rows, self.personal)
        builder = self.bundles.rows(bundle)
        if bundle not in self.lookups:
            self.lookups[bundle] = LookupReader(builder.contract)
        return prediction_table(rows, builder, self.lookups[bundle], self.personal)

    def end_workers_without_folder(self) -> None:
        """Sum up workers whose folder is not here: this home is the copy of another."""
        gone = self.progress.workers.keys() - self.workers
        for name in sorted(gone):
            worker = self.progress.workers[name]
            self.progress.end_worker(name, worker.answered, worker.dropped)
        if gone:
            self.progress.save(self.layout.decoded)

    def forget_removed_workers(self) -> None:
        """Forget the names of workers whose folders are gone."""
        there = {folder.name for folder in self.layout.worker_folders()}
        left = [name for name in self.progress.counted if name in there]
        if left != self.progress.counted:
            self.progress.counted = left
            self.progress.save(self.layout.decoded)


def merge_tables(tables: list[pa.Table]) -> pa.Table | None:
    """Return tables of several bundles as one; a column that one lacks is null there."""
    return concat(tables) if tables else None


def open_decoder(settings: Settings) -> Decoder:
    """Return the decoder of a home."""
    layout = LogLayout(settings.home)
    return Decoder(layout, Releases(settings.releases), part_files(settings), personal_of(settings))
