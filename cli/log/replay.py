"""The verb replay: give logged answers once more, and compare."""

from datetime import datetime
from pathlib import Path

import click

from cli.options import Moment, common_options
from cli.output import print_result
from cli.startup import prepare_libraries, settings_for
from potluck.contract.errors import PotluckError, UsageError
from potluck.contract.settings import Settings
from potluck.scoring.releases import Release, Releases

CHALLENGER = "challenger"


@click.command("replay")
@click.argument("request_id", required=False)
@click.option("--since", type=Moment(), help="All rows from then on, in place of REQUEST_ID.")
@click.option("--service", help="Only the rows of one service; needed to ask another version.")
@click.option("--diff", is_flag=True, help="Sum up, and list the answers that change most.")
@click.option("--version", help="What another version of the service would have answered.")
@click.option("--model", type=click.Choice([CHALLENGER]), help="What the challenger would have.")
@common_options
def replay_verb(
    request_id: str | None,
    since: datetime | None,
    service: str | None,
    diff: bool,
    version: str | None,
    model: str | None,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Rebuild the answer to REQUEST_ID from the log, with the very bundle that gave it.

    Fails where an answer is not the same to the bit, or can't be rebuilt; not where another
    version is asked.
    """
    if (request_id is None) == (since is None):
        raise UsageError("expected a REQUEST_ID or --since, one of the two")
    if version and model:
        raise UsageError("expected --version or --model, not both")
    settings = settings_for(repo)
    from monitoring import query
    from monitoring.catch_up import caught_up
    from monitoring.replay.replay import Replayer, difference

    with caught_up(settings) as decoder:
        connection = query.open_log(decoder.parts, service)
        personal = decoder.personal
    if request_id is not None:
        found = query.by_request(connection, request_id)
        if not found.rows:
            raise PotluckError(f"the inference log holds no request {request_id}")
    else:
        sql = "select * from log where request_time >= ? order by request_time, request_id, row"
        found = query.ask(connection, sql, [since])
    rows = found.as_dicts()
    instead = None
    if version or model:
        instead = other_release(settings, {row["service"] for row in rows}, version)
    replayed = Replayer(Releases(settings.releases), personal, found.columns).replay(rows, instead)
    if diff or since is not None:
        total = difference(replayed)
        print_result(total, total.text(), as_json=as_json)
    else:
        lines = [
            f"{each.request_id}: logged {each.logged}, replayed {each.prediction}: "
            f"{'equal to the bit' if each.equal else each.why or 'NOT equal'}"
            for each in replayed
        ]
        result = replayed[0] if len(replayed) == 1 else replayed
        print_result(result, "\n".join(lines), as_json=as_json)
    unequal = sum(not each.equal and each.prediction is not None for each in replayed)
    if instead is None and unequal:
        raise PotluckError(f"{unequal} of {len(replayed)} rows are not equal to the bit")


def other_release(settings: Settings, services: set[str], version: str | None) -> Release:
    """Lay another version of a service down, without serving it.

    Raises:
        UsageError: the rows are of several services, or there is no such version.
    """
    if len(services) != 1:
        raise UsageError(
            "expected the rows of one service to ask another version; name it with --service"
        )
    prepare_libraries(settings)
    from training.promotion import lay_version_down

    return lay_version_down(settings, services.pop(), version)
