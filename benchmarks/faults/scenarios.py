"""The faults, in the order in which they are played, with what the page says beside the figures."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.faults import home_faults, redis_faults, server_faults
from benchmarks.faults.stage import Stage

OUTAGES = "serving/test_online_outages.py"
NIGHTLY = "batch/test_nightly.py"
RELEASES = "scoring/test_releases.py"
WITHOUT_REDIS = "serving/test_without_redis.py"
OWN = "faults/test_faults.py"
DRAIN = "serving/test_drain.py"


@dataclass(frozen=True)
class Scenario:
    """One line of the table in docs/operations.md."""

    name: str
    fault: str
    play: Callable[[Stage], Coroutine[Any, Any, None]]
    advice: str
    """What to do."""
    tests: Sequence[str]
    """What shows it: `file::test`, below `tests/`."""


SCENARIOS = (
    Scenario(
        "redis-killed",
        "Redis is killed, and started again",
        redis_faults.killed,
        "Start it. The server finds it by itself; `/readyz` says `online_store: false` meanwhile.",
        (
            f"{WITHOUT_REDIS}::test_realtime_answers_and_hybrid_and_lookup_refuse",
            f"{WITHOUT_REDIS}::test_everything_answers_again_when_redis_is_back",
        ),
    ),
    Scenario(
        "redis-frozen",
        "Redis takes connections and answers nothing",
        redis_faults.frozen,
        "Look at its host and its slow log. Nobody waits longer than `POTLUCK_REDIS_TIMEOUT`.",
        (
            f"{WITHOUT_REDIS}::test_a_frozen_redis_is_given_up_within_the_deadline",
            f"{OUTAGES}::test_a_server_that_stays_frozen_does_not_keep_every_reader_waiting",
        ),
    ),
    Scenario(
        "redis-slow",
        "Redis answers 100 ms late",
        redis_faults.slow,
        "Nothing breaks. Look at the network and at Redis' slow log.",
        (f"{OUTAGES}::test_late_replies_are_given_to_nobody_else",),
    ),
    Scenario(
        "redis-too-slow",
        "Redis answers 400 ms late, beyond `POTLUCK_REDIS_TIMEOUT`",
        redis_faults.too_slow,
        "As if it were away. Raise `POTLUCK_REDIS_TIMEOUT` only if callers can wait that long.",
        (f"{OUTAGES}::test_late_replies_are_given_to_nobody_else",),
    ),
    Scenario(
        "redis-emptied",
        "Redis is emptied, then filled again",
        redis_faults.emptied,
        "Call `potluck materialize` and `potluck nightly`; find out who emptied it.",
        (
            f"{OWN}::test_an_emptied_redis_is_told_from_one_that_is_away",
            "stores/test_materialize.py::test_an_emptied_store_refills",
        ),
    ),
    Scenario(
        "redis-full",
        "Redis is full (`maxmemory`, `noeviction`) while batch commands write",
        redis_faults.full,
        "Give it memory, then call `materialize` and `nightly` again. Reads go on meanwhile.",
        (
            f"{NIGHTLY}::test_a_redis_that_is_nearly_full_refuses_the_run_before_it_is_written",
            f"{OWN}::test_a_full_redis_stops_materialize_and_no_reader",
        ),
    ),
    Scenario(
        "worker-killed",
        "One of two workers is killed",
        server_faults.worker_killed,
        "Nothing: another one is started. Callers send again what a lost connection left open.",
        (f"{OWN}::test_a_worker_that_is_killed_or_frozen_is_replaced",),
    ),
    Scenario(
        "worker-frozen",
        "One of two workers hangs",
        server_faults.worker_frozen,
        "Nothing: it is replaced. Give callers a timeout of their own.",
        (f"{OWN}::test_a_worker_that_is_killed_or_frozen_is_replaced",),
    ),
    Scenario(
        "sigterm",
        "SIGTERM under load, then a start",
        server_faults.stopped,
        "Have the balancer ask `/readyz`, and set `POTLUCK_DRAIN_PAUSE_SECONDS` to twice its "
        "interval.",
        (f"{DRAIN}::test_no_request_is_cut_when_it_stops_under_load",),
    ),
    Scenario(
        "sigterm-two-workers",
        "SIGTERM under load with two workers, then a start",
        server_faults.stopped_with_two_workers,
        "As with one worker.",
        (f"{DRAIN}::test_no_request_is_cut_when_it_stops_under_load",),
    ),
    Scenario(
        "sigterm-half-a-body",
        "SIGTERM while somebody has sent half a request",
        server_faults.stopped_with_half_a_body,
        "Nothing: it ends within `POTLUCK_DRAIN_SECONDS`.",
        (f"{DRAIN}::test_half_bodies_do_not_hold_the_servers_end_up",),
    ),
    Scenario(
        "swaps",
        "Champions are promoted back and forth, twice a second",
        server_faults.swapped,
        "Nothing: promote whenever you like.",
        (f"{OWN}::test_no_request_notices_that_champions_are_swapped",),
    ),
    Scenario(
        "disk-full",
        "The home's disk is full while a version is promoted",
        home_faults.disk_full,
        "Make room. A version that passes its check serves without its receipt.",
        (f"{RELEASES}::test_what_passes_its_check_opens_on_a_full_disk",),
    ),
    Scenario(
        "read-only",
        "The home is read-only while a version is promoted",
        home_faults.read_only,
        "A server may stay so; training and promoting need a home that they can write to.",
        (f"{RELEASES}::test_what_passes_its_check_opens_though_no_receipt_can_be_written",),
    ),
    Scenario(
        "mlflow-away",
        "MLflow is away",
        home_faults.mlflow_away,
        "Bring it back before the next `train` or `promote`; `pull` then catches up.",
        ("cli/test_stack.py::test_a_part_that_is_away_is_an_error_without_a_trace",),
    ),
    Scenario(
        "hostile-body",
        "A body of 8 MB that holds 4 million rows",
        server_faults.hostile,
        'Nothing. `potluck_requests_total{status="413"}` counts such requests.',
        ("serving/test_large_bodies.py::test_no_body_of_a_batch_holds_the_event_loop",),
    ),
)
