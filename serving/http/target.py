"""What a request is about, for its answer and for the inference log."""

from typing import NamedTuple

from serving.services.answer_options import PLAIN, AnswerOptions


class Target(NamedTuple):
    """A service, and of a look-up the entity that is asked for."""

    service: str
    entity_id: str
    request_id: str
    started: float
    """When the request's head had come, by `time.perf_counter`."""
    options: AnswerOptions = PLAIN
