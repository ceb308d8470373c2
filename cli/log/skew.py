"""The verb skew: compare what was served with the offline store."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.options import Moment, common_options
from cli.output import print_result
from cli.startup import prepare_libraries, settings_for
from potluck.contract import logs
from potluck.contract.errors import Refused

logger = logging.getLogger("potluck.skew")


@click.command("skew")
@click.option("--since", type=Moment(), help="Only requests from then on.")
@click.option("--until", type=Moment(), help="Only requests before then.")
@click.option("--service", help="Only one service.")
@click.option("--sample", type=click.IntRange(min=1), help="Compare at most so many of its rows.")
@click.option(
    "--max-share",
    type=click.FloatRange(0, 1),
    help="Exit with 65 if a larger share of a service's values is not equal.",
)
@click.option(
    "--log", "logged", is_flag=True, help="Tell it as lines of a log, as `schedule` does."
)
@common_options
def skew_verb(
    since: datetime | None,
    until: datetime | None,
    service: str | None,
    sample: int | None,
    max_share: float | None,
    logged: bool,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Compare the features that hybrid services served with the offline store's.

    Logged requests are computed again through the point-in-time join, as of the moment of each
    look-up. Skew that is found is a result, and no failure.
    """
    settings = settings_for(repo)
    if logged:
        logs.set_up(settings)
    prepare_libraries(settings)
    from monitoring.skew.run import measure_skew
    from monitoring.skew.selection import Chosen

    chosen = Chosen(since, until, service, sample)
    skew = measure_skew(settings, chosen, datetime.now(UTC))
    if logged:
        for line in skew.text().splitlines():
            logger.info(line.strip())
    else:
        print_result(skew, skew.text(), as_json=as_json)
    if max_share is not None and skew.largest_share > max_share:
        raise Refused(
            f"{skew.largest_share:.6f} of the values of a service are not equal to the offline "
            f"store's; expected at most {max_share:g}"
        )
