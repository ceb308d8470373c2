"""Take rows out, one reason after the other, so that every row is kept or accounted for."""

from collections.abc import Sequence

import pyarrow as pa

from potluck.contract.accounting import SHOWN, Account, LeftOut, account
from potluck.stores.parquet.first_records import Mask
from potluck.stores.parquet.offline_reads import ROW


class Sieve:
    """What remains of a table. A row counts under the first reason that takes it out."""

    def __init__(self, table: str, rows: pa.Table, names: Sequence[str]) -> None:
        """
        Args:
            names: columns by which a person finds a row again; where they are null, or there are
                none, a row is called by its number.
        """
        self.table = table
        self.came = rows.num_rows
        self.rows = rows
        self.names = names
        self.left_out: list[LeftOut] = []

    def take_out(self, reason: str, gone: Mask) -> None:
        """Leave out the rows where `gone` is true."""
        if not gone.any():
            return
        out = self.rows.select([*self.names, ROW]).filter(pa.array(gone))
        examples = map(self.named, out.slice(0, SHOWN).to_pylist())
        self.left_out.append(LeftOut(reason, out.num_rows, tuple(examples)))
        self.rows = self.rows.filter(pa.array(~gone))

    def named(self, row: dict[str, object]) -> str:
        known = [f"{name}={row[name]}" for name in self.names if row[name] is not None]
        return " ".join(known) or f"row {row[ROW]}"

    def account(self) -> Account:
        return account(self.table, self.came, self.left_out)
