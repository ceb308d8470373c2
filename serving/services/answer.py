"""A scored record, as the predictor gives it to whoever words the answer."""

from typing import NamedTuple

from potluck.contract.fields import Literals
from potluck.scoring.plan import Marks
from serving.services.entities import Known


class Answer(NamedTuple):
    """One scored record, and what the caller should know about it."""

    prediction: Literals
    probabilities: dict[str, float] | None
    known: Known
    marks: Marks
    request_time: float
    """Seconds since 1970; the time that defaults such as `request_time.month` stand for."""

    @property
    def is_noted(self) -> bool:
        return bool(self.known.overridden or self.known.not_found or self.marks)

    @property
    def notes(self) -> dict[str, list[str]]:
        if not self.is_noted:
            return {}
        known = self.known
        named = {"overridden": list(known.overridden), "not_found": list(known.not_found)}
        for kind in ("unseen", "imputed"):
            named[kind] = [column for mark, column in self.marks if mark == kind]
        return {name: fields for name, fields in named.items() if fields}
