"""Invented data for every source of `definitions.py`, with the cases in which paths could part."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from potluck.contract.errors import UsageError

FIRST_YEAR = 1939
"""Of the oldest records. Before 1970 dates are negative numbers."""
UNKNOWN_ITEMS = 10
"""Items of the population, and of the sales, that no view knows."""

TIME = pa.timestamp("us", tz="UTC")
NEW = datetime(2024, 1, 1, tzinfo=UTC)
SHOPS = ("north", "south", "Köln", "")
SHELVES = 12
Row = dict[str, Any]

TYPES = {
    "items": {
        "weight": pa.float64(),
        "pieces": pa.int64(),
        "size_code": pa.int64(),
        "fragile": pa.bool_(),
        "maker": pa.string(),
    },
    "prices": {"EUR": pa.float64(), "reduced": pa.bool_(), "offers": pa.int64()},
    "stock": {"in_stock": pa.int64(), "ordered": pa.int64()},
    "clicks": {"clicks": pa.int64(), "last_page": pa.string()},
    "shops": {"town": pa.string()},
    "shelves": {"height": pa.float64(), "lit": pa.bool_()},
    "archive": {"old_price": pa.float64()},
}
REQUEST = {
    "wanted": pa.int64(),
    "paid in %": pa.float64(),
    "coupons": pa.int64(),
    "member": pa.bool_(),
    "note": pa.string(),
    "channel": pa.int64(),
    "year": pa.int64(),
}
LABELS = {"amount": pa.float64(), "returned": pa.bool_()}


def ingest(files: Sequence[Path], rows: int, seed: int) -> dict[str, pa.Table]:
    """Sources by name: `rows` items, and three sales of each."""
    if files:
        raise UsageError(f"the data of this repo is invented; expected no file, got {files[0]}")
    draw = random.Random(seed)
    items = range(1, rows + 1)
    known = range(1, rows + 1 - UNKNOWN_ITEMS)
    sold = [sale(draw, number, sold_at) for number in items for sold_at in days(draw, 3)]
    return {
        "items": table("items", {"item_id": pa.int64()}, [item(draw, number) for number in known]),
        "prices": prices(draw, known),
        "stock": table(
            "stock",
            {"item_id": pa.int64()},
            [stock(draw, number) for number in known if number % 5],
        ),
        "clicks": table(
            "clicks",
            {"item_id": pa.int64()},
            [clicks(draw, number) for number in known if number % 7],
        ),
        "archive": table(
            "archive",
            {"item_id": pa.int64()},
            [{"item_id": 1, "event_timestamp": NEW, "old_price": 1.0}],
        ),
        "shops": table(
            "shops",
            {"shop": pa.string()},
            [dated(NEW, shop=shop, town=f"town of {shop}") for shop in SHOPS],
        ),
        "shelves": table(
            "shelves", {"shop": pa.string(), "shelf_no": pa.int64()}, [*shelves(draw)]
        ),
        "sales": typed({**SALE_KEYS, "event_timestamp": TIME, **REQUEST, **LABELS}, sold),
        "population": typed(
            {"item_id": pa.int64(), "event_timestamp": TIME, **REQUEST},
            [
                {"item_id": number, "event_timestamp": NEW + timedelta(days=1), **request(draw)}
                for number in items
            ],
        ),
    }


SALE_KEYS = {"item_id": pa.int64(), "shop": pa.string(), "shelf_no": pa.int64()}


def table(name: str, keys: dict[str, pa.DataType], rows: list[Row]) -> pa.Table:
    return typed({**keys, "event_timestamp": TIME, **TYPES[name]}, rows)


def typed(types: dict[str, pa.DataType], rows: list[Row]) -> pa.Table:
    return pa.table(
        {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    )


def dated(moment: datetime, **columns: Any) -> Row:
    return {"event_timestamp": moment, **columns}


def maybe(draw: random.Random, value: Any) -> Any:
    """Missing now and then."""
    return None if draw.random() < 0.15 else value


def old(draw: random.Random) -> datetime:
    """A moment long ago, of which a part may be before 1970."""
    return datetime(
        FIRST_YEAR + draw.randrange(20), 1 + draw.randrange(12), 3, 4, 5, 6, 123456, tzinfo=UTC
    )


def days(draw: random.Random, count: int) -> list[datetime]:
    """Moments after the newest records."""
    return [
        NEW + timedelta(days=30 + draw.randrange(600), seconds=draw.randrange(86_400))
        for _ in range(count)
    ]


def item(draw: random.Random, number: int) -> Row:
    return dated(
        old(draw) if number % 2 else NEW,
        item_id=number,
        weight=maybe(draw, draw.choice([0.1 + 0.2, 1e-300, draw.uniform(1, 900)])),
        pieces=maybe(draw, draw.randrange(40)),
        size_code=maybe(draw, draw.choice([-1, 0, 3, 2**31 - 1])),
        fragile=maybe(draw, draw.random() < 0.3),
        maker=maybe(draw, draw.choice(["", "Ä & Co", "plain", "a\tb"])),
    )


def prices(draw: random.Random, items: Sequence[int]) -> pa.Table:
    """Columns under the till's names.

    Each price was entered twice, and some are older than the view's ttl.
    """
    rows = []
    for number in items:
        seen_at = old(draw) if number % 4 == 0 else NEW - timedelta(seconds=draw.randrange(10**6))
        for entered in draw.sample([1, 2], 2):
            made_at = seen_at + timedelta(days=entered)
            row = {
                "id": number,
                "seen_at": seen_at,
                "entered": made_at,
                "EUR": maybe(draw, draw.uniform(1, 90)),
            }
            rows.append(
                {**row, "reduced": maybe(draw, draw.random() < 0.5), "offers": maybe(draw, entered)}
            )
    return typed({"id": pa.int64(), "seen_at": TIME, "entered": TIME, **TYPES["prices"]}, rows)


def stock(draw: random.Random, number: int) -> Row:
    return dated(
        NEW, item_id=number, in_stock=maybe(draw, draw.randrange(12)), ordered=maybe(draw, 7)
    )


def clicks(draw: random.Random, number: int) -> Row:
    page = draw.choice(["home", "cart", "search"])
    return dated(
        old(draw),
        item_id=number,
        clicks=maybe(draw, draw.randrange(10**6)),
        last_page=maybe(draw, page),
    )


def shelves(draw: random.Random) -> list[Row]:
    return [
        dated(
            old(draw),
            shop=shop,
            shelf_no=number,
            height=maybe(draw, 1.5 * number),
            lit=maybe(draw, number % 2 == 0),
        )
        for shop in SHOPS
        for number in range(SHELVES)
    ]


def request(draw: random.Random) -> Row:
    return {
        "wanted": 1 + draw.randrange(9),
        "paid in %": maybe(draw, draw.uniform(0, 100)),
        "coupons": maybe(draw, draw.randrange(3)),
        "member": maybe(draw, draw.random() < 0.5),
        "note": maybe(draw, draw.choice(["", "gift", "late"])),
        "channel": maybe(draw, draw.choice([1, 2, 30])),
        "year": 2024 + draw.randrange(3),
    }


def sale(draw: random.Random, number: int, sold_at: datetime) -> Row:
    brought = request(draw)
    amount = brought["wanted"] * (number % 17) + draw.gauss(0, 2)
    keys = {"item_id": number, "shop": draw.choice(SHOPS), "shelf_no": draw.randrange(SHELVES)}
    returned = (number % 17) * draw.random() > 4
    return {**keys, "event_timestamp": sold_at, **brought, "amount": amount, "returned": returned}
