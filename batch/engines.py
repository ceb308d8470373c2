"""Where shards are scored: in this process, in several processes of this machine, or on Ray.

Every engine gives the same rows.
"""

import contextlib
import ctypes
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from batch.score import ScoredShard, ScoringJob
from potluck.contract.errors import PotluckError, UsageError
from potluck.stores.parquet.shard import Shard

Engine = Callable[[ScoringJob, Sequence[Shard], int], Iterator[ScoredShard]]
"""Job, shards, and how many to score at once -> the scored shards, in the order they are ready."""

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def score_locally(job: ScoringJob, shards: Sequence[Shard], workers: int) -> Iterator[ScoredShard]:
    """Score in processes of this machine; with a single shard or worker, in this process."""
    processes = min(workers, len(shards))
    if processes <= 1:
        return map(job.run, shards)
    return score_in_processes(job, shards, processes)


def score_in_processes(
    job: ScoringJob,
    shards: Sequence[Shard],
    workers: int,
) -> Iterator[ScoredShard]:
    """Score shards in new processes.

    Twice as many shards as workers are under way, so that no worker waits and few are in memory.

    Raises:
        PotluckError: a process was killed.
    """
    # Not forked: a fork after LightGBM or Arrow used threads can hang.
    spawn = multiprocessing.get_context("spawn")
    waiting, running = iter(shards), set[Future[ScoredShard]]()
    with ProcessPoolExecutor(workers, spawn, initializer=prepare, initargs=(job,)) as pool:
        try:
            while True:
                more = islice(waiting, 2 * workers - len(running))
                running |= {pool.submit(run_prepared, shard) for shard in more}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BrokenProcessPool:
            raise PotluckError(
                "a scoring process was killed, maybe for want of memory; run `potluck nightly "
                "--resume`, with a smaller POTLUCK_NIGHTLY_WORKERS or POTLUCK_NIGHTLY_SHARD_ROWS "
                "if it happens again"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


prepared: list[ScoringJob] = []
"""The job of this process, in a scoring process."""


def prepare(job: ScoringJob) -> None:
    """Prepare a scoring process: it ends with its parent, even if the parent is killed."""
    # Ctrl-C reaches the whole process group; the parent ends the pool in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    prepared.append(job)


def run_prepared(shard: Shard) -> ScoredShard:
    return prepared[-1].run(shard)


def score_with_ray(job: ScoringJob, shards: Sequence[Shard], workers: int) -> Iterator[ScoredShard]:
    """Score on Ray Data: on the cluster that RAY_ADDRESS names, or on this machine.

    Every node must be able to read the sources at the same paths.

    Raises:
        UsageError: Ray is not installed.
    """
    try:
        from batch.on_ray import score_on_ray
    except ModuleNotFoundError:
        raise UsageError("POTLUCK_NIGHTLY_ENGINE=ray needs Ray; install potluck[ray]") from None
    return score_on_ray(job, shards, workers)


ENGINES: dict[str, Engine] = {"local": score_locally, "ray": score_with_ray}
