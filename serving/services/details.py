"""Where each feature of an answer came from, and how old it was: worked out when somebody asks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from potluck.contract.features import LookupView
from potluck.contract.fields import Field
from potluck.scoring.lookups import LookedUp, LookupReader
from potluck.scoring.model import Model
from serving.services.answer import Answer
from serving.services.schema import Record

Source = Literal["request", "online", "on-demand", "default", "overridden"]
FeatureStatus = Literal["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]
Detailed = dict[str, Any]
NOTHING_LOOKED_UP = LookedUp({}, {}, {})


class DetailReader:
    """Bound once to a model."""

    def __init__(self, model: Model) -> None:
        self.contract, self.model = model.contract, model
        self.lookups = LookupReader(model.contract)
        views = model.contract.views
        self.view_of: dict[str, LookupView] = {
            name: view for view in views for name in view.features
        }

    def features(self, record: Record, answer: Answer) -> dict[str, Detailed]:
        """Return each feature's value and source; of a looked-up one its age and status as well.

        Args:
            record: what the request brought.
            answer: what it was answered with.
        """
        now = datetime.fromtimestamp(answer.request_time, UTC)
        found = self.looked_up(answer)
        features = dict(self.inputs(record, found, answer, now))
        taken = {name: [each["value"]] for name, each in features.items()}
        for name, value in self.computed(taken).items():
            if name in features and features[name]["value"] == value:
                continue  # passed through as it is
            features[name] = {"value": value, "source": "on-demand"}
        return features

    def looked_up(self, answer: Answer) -> LookedUp:
        known = answer.known
        if known.looked_up_at is None:
            return NOTHING_LOOKED_UP
        return self.lookups.read(known.replies, known.looked_up_at)

    def inputs(
        self, record: Record, found: LookedUp, answer: Answer, now: datetime
    ) -> Iterator[tuple[str, Detailed]]:
        """Return what went into the functions and the model, by name."""
        for field in self.contract.request:
            yield field.name, value_or_default(field, record.get(field.name), "request", now)
        for field in self.contract.online:
            brought = record.get(field.name)
            if brought is not None:
                yield field.name, {"value": brought, "source": "overridden"}
                continue
            stored = found.values.get(field.name)
            entry = value_or_default(field, stored, "online", now)
            yield field.name, {**entry, **self.provenance(field.name, found, answer)}

    def provenance(self, name: str, found: LookedUp, answer: Answer) -> Detailed:
        """Return how old a looked-up feature was, and why it is missing where it is."""
        view = self.view_of[name]
        status: FeatureStatus = found.statuses[view.name]
        if status == "PRESENT" and found.values.get(name) is None:
            status = "NULL_VALUE"
        seconds = found.event_times.get(view.name)
        if seconds is None or answer.known.looked_up_at is None:
            return {"status": status, "event_time": None, "age_seconds": None}
        return {
            "status": status,
            "event_time": datetime.fromtimestamp(seconds, UTC).isoformat(),
            "age_seconds": answer.known.looked_up_at - seconds,
        }

    def computed(self, taken: dict[str, list[Any]]) -> dict[str, Any]:
        """Run the on-demand functions on one row's inputs."""
        outputs = self.model.run_functions(taken, 1)
        return {name: values[0] for name, values in outputs.items()}


def value_or_default(field: Field, value: Any, source: Source, now: datetime) -> Detailed:
    """Return a field's value, or its default where there is none."""
    default = field.default_at(now) if value is None else None
    if default is None:
        return {"value": value, "source": source}
    return {"value": default, "source": "default"}
