"""Tables of strangers, what `potluck init` is told about them, and what comes later: rows, columns,
changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tables import bank, comics, letters, taxi


@dataclass(frozen=True)
class Stranger:
    """A table that nobody here has seen."""

    make: Callable[[Path], Path]
    flags: tuple[str, ...]
    function: str
    """An on-demand function over what a request brings and what is on record, to be added to the
    definitions."""
    on_record: tuple[str, str]
    """A looked-up column to be taken away: its name in the file, and the line that declares it."""
    encoding: str = "utf-8"
    later: tuple[str, ...] = ()
    """Rows that come later, as lines of the file; the first one is of an entity that was not
    there."""
    entity: str | int = ""
    """The one that was not there."""
    later_left_out: int = 0
    """How many of the later rows `ingest` leaves out."""

    @property
    def name(self) -> str:
        return self.make.__name__

    def later_file(self, folder: Path, made: Path) -> Path:
        """The later rows under the table's own header."""
        header = made.read_text(encoding=self.encoding).splitlines()[0]
        path = folder / f"later-{made.name}"
        path.write_text("\n".join([header, *self.later, ""]), encoding=self.encoding)
        return path


def together(schema: str, first: str, second: str, computed: str) -> str:
    """The source of an on-demand function of one request field and one column of the record."""
    return f'''
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, String


@on_demand_feature_view(
    sources=[request, record], schema=[Field(name="together", dtype={schema})], mode="python"
)
def both(inputs):
    pairs = zip(inputs["{first}"], inputs["{second}"])
    return {{"together": [None if None in (a, b) else {computed} for a, b in pairs]}}


'''


def declared(name: str, dtype: str) -> tuple[str, str]:
    return name, f'Field(name="{name}", dtype={dtype}),'


STRANGERS: Sequence[Stranger] = (
    Stranger(
        bank,
        ("--label", "y"),
        together("String", "job", "poutcome", 'a + " " + b'),
        declared("campaign", "Int64"),
    ),
    Stranger(
        comics,
        ("--label", "ALIVE"),
        together("String", "ALIGN", "SEX", 'a + " " + b'),
        declared("HAIR", "String"),
        encoding="cp1252",
        later=(
            "99001,Zoë the Last,Secret,Good,Blue,Black,Female,12,03/10/1939,Earth-616,Living",
            "99008,Søren the Undated,Public,Bad,Blue,Black,Male,3,,Earth-616,Deceased",
        ),
        entity=99001,
        later_left_out=1,
    ),
    Stranger(
        taxi,
        ("--label", "fare"),
        together("String", "zone_code", "payment", 'f"{a} {b}"'),
        declared("wind", "Float64"),
        later=("R90000\t2024-12-30 10:00:00\t7\t2\t3,10\t11,00\tcard\t12,00\t13,20",),
        entity="R90000",
    ),
    Stranger(
        letters,
        ("--label", "glyph", "--key", "writer", "--request", "width,height"),
        together("Float64", "width", "hand", 'a if b == "left" else -a'),
        declared("slant", "Float64"),
        later=("new|2024-05-01|1.1|2.3|4.5|left|N", "w1|2024-05-01|0.2|1.1|-4.5|right|G"),
        entity="new",
    ),
)
