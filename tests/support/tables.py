"""Data sets as strangers bring them, made to order by a seed: none has a word in common with the
examples.

python tests/support/tables.py FOLDER     writes all of them
"""

import csv
import math
import random
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path


def write(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    delimiter: str,
    encoding: str,
) -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        out = csv.writer(file, delimiter=delimiter)
        out.writerow(header)
        out.writerows(rows)
    return path


def chance(strain: float) -> float:
    return 1 / (1 + math.exp(-strain))


def bank(folder: Path, rows: int = 1500, seed: int = 1) -> Path:
    """Calls of a bank: neither id nor date, semicolons, names with dots, one positive in nine."""
    draw = random.Random(seed)
    jobs = ["admin.", "blue-collar", "retired", "student", "technician", "unknown"]
    header = [
        "age",
        "job",
        "marital",
        "balance",
        "housing",
        "campaign",
        "emp.var.rate",
        "cons.price.idx",
        "poutcome",
        "y",
    ]
    lines = []
    for _ in range(rows):
        age, job = draw.randint(18, 90), draw.choice(jobs)
        married = draw.choice(["married", "single", "divorced"])
        balance, housing = int(draw.gauss(1400, 2000)), draw.choice(["yes", "no"])
        campaign, rate = 1 + int(draw.expovariate(0.7)), draw.choice([-3.4, -1.8, 1.1, 1.4])
        price, before = (
            round(draw.gauss(93.5, 0.6), 3),
            draw.choice(["failure", "nonexistent", "nonexistent", "success"]),
        )
        strain = (
            -2.4
            + 1.8 * (before == "success")
            - 0.5 * rate
            - 0.3 * campaign
            + 0.9 * (job == "student")
        )
        lines.append([age, job, married, balance, housing, campaign, rate, price, before])
        lines[-1].append("yes" if draw.random() < chance(strain) else "no")
    return write(folder / "bank.csv", header, lines, delimiter=";", encoding="utf-8")


def comics(folder: Path, rows: int = 1200, seed: int = 2) -> Path:
    """Characters since 1939, alive or deceased: an id, days with the day first, cp1252, missing
    marks, some undated."""
    draw = random.Random(seed)
    names = ["Zoë", "Renée", "Björn", "Ana", "Max", "Iñigo", "Kei", "Søren"]
    header = [
        "page_id",
        "name",
        "ID",
        "ALIGN",
        "EYE",
        "HAIR",
        "SEX",
        "APPEARANCES",
        "first appearance",
        "universe",
        "ALIVE",
    ]
    lines = []
    for number in range(rows):
        day = date(1939, 10, 1) + timedelta(days=int(draw.random() ** 0.7 * 27_000))
        secret = draw.choice(["Secret", "Public", "Known…", "?"])
        align, sex = (
            draw.choice(["Good", "Bad", "Neutral", "-"]),
            draw.choice(["Male", "Female", "NA"]),
        )
        eyes, hair = (
            draw.choice(["Blue", "Brown", "Green", "NA", ""]),
            draw.choice(["Black", "Blond", "No", "NA"]),
        )
        seen = "NA" if draw.random() < 0.07 else str(1 + int(draw.expovariate(0.06)))
        strain = 1.2 - 0.9 * (align == "Bad") + 0.5 * (sex == "Female") - (1975 - day.year) / 40
        alive = "Living" if draw.random() < chance(strain) else "Deceased"
        told = "" if draw.random() < 0.03 else f"{day:%d/%m/%Y}"
        called = f"{draw.choice(names)} the {number}th"
        lines.append(
            [
                1000 + 7 * number,
                called,
                secret,
                align,
                eyes,
                hair,
                sex,
                seen,
                told,
                "Earth-616",
                alive,
            ]
        )
    return write(folder / "comics.csv", header, lines, delimiter=",", encoding="cp1252")


def taxi(folder: Path, rows: int = 1400, seed: int = 3) -> Path:
    """Rides with a meter: an id, times with seconds, decimal commas, tabs; the fare is to be
    predicted."""
    draw = random.Random(seed)
    header = [
        "ride_id",
        "pickup_at",
        "zone_code",
        "passengers",
        "distance_km",
        "wind",
        "payment",
        "fare",
        "fare_with_tax",
    ]
    lines = []
    for number in range(rows):
        at = datetime(2024, 1, 1) + timedelta(seconds=int(draw.random() * 30_000_000))
        zone, passengers = draw.randint(1, 30), draw.randint(1, 5)
        distance, wind = draw.gammavariate(2, 2.2), draw.gauss(12, 5)
        night = at.hour < 6
        fare = (3.5 + 2.1 * distance + 2 * night + 0.1 * (zone % 5)) * draw.uniform(0.85, 1.25)
        paid = draw.choice(["card", "cash", "app"])
        numbers = [f"{value:.2f}".replace(".", ",") for value in (distance, wind, fare, fare * 1.1)]
        lines.append(
            [
                f"R{number:05d}",
                f"{at:%Y-%m-%d %H:%M:%S}",
                zone,
                passengers,
                *numbers[:2],
                paid,
                *numbers[2:],
            ]
        )
    return write(folder / "taxi.tsv", header, lines, delimiter="\t", encoding="utf-8")


def letters(folder: Path, rows: int = 1500, seed: int = 4) -> Path:
    """Glyphs of 24 classes, one of them with four rows; days, and writers that come again."""
    draw = random.Random(seed)
    classes = [chr(ord("A") + number) for number in range(24)]
    header = ["writer", "written_on", "width", "height", "slant", "hand", "glyph"]
    hands = {f"w{number}": draw.choice(["left", "right"]) for number in range(60)}
    lines = []
    for number in range(rows):
        glyph = (
            "X"
            if number in (100, 500, 900, 1300)
            else draw.choice([each for each in classes if each != "X"])
        )
        code, writer = ord(glyph) - ord("A"), draw.choice(list(hands))
        width = round(code % 6 + draw.gauss(0, 0.25), 2)
        height = round(code // 6 + draw.gauss(0, 0.25), 2)
        slant = round(draw.gauss(5 if hands[writer] == "left" else -5, 3), 1)
        day = date(2023, 3, 1) + timedelta(days=number // 4)
        lines.append([writer, day, width, height, slant, hands[writer], glyph])
    return write(folder / "letters.csv", header, lines, delimiter="|", encoding="utf-8")


if __name__ == "__main__":
    for make in (bank, comics, taxi, letters):
        print(make(Path(sys.argv[1])))
