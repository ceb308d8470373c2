"""`potluck`: the verbs, found by name and imported when they are called."""

import importlib
import io
import logging
import select
import sys
from typing import Any, NoReturn

import click

from cli.failures import explain_error, place_in_repo
from cli.output import print_error, say
from potluck import __version__
from potluck.contract import logs
from potluck.contract.errors import PotluckError, UsageError
from potluck.contract.secrets import masked

STANDARD_OUTPUT = 1

VERBS = {
    "init": "cli.data.init",
    "ingest": "cli.data.ingest",
    "apply": "cli.data.apply",
    "materialize": "cli.data.materialize",
    "check": "cli.data.check",
    "train": "cli.models.train",
    "promote": "cli.models.promote",
    "compare": "cli.models.compare",
    "retire": "cli.models.promote",
    "pull": "cli.models.pull",
    "nightly": "cli.nightly.nightly",
    "export": "cli.nightly.export",
    "schedule": "cli.nightly.schedule",
    "serve": "cli.stack.serve",
    "predict": "cli.client.predict",
    "lookup": "cli.client.lookup",
    "log": "cli.log.log",
    "replay": "cli.log.replay",
    "skew": "cli.log.skew",
    "up": "cli.stack.up",
    "down": "cli.stack.up",
    "status": "cli.stack.status",
    "env": "cli.stack.status",
    "gc": "cli.upkeep.gc",
    "backup": "cli.upkeep.backup",
    "restore": "cli.upkeep.backup",
}
"""Verb -> the module of its command; in the order of `potluck --help`."""


class Mistakable(Exception):
    """Around an error at which click would end as if the user had left.

    These are a broken pipe and an end of file, which may come from anywhere in a verb.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error


class LazyVerbs(click.Group):
    """Imports a verb's module when it is asked for: some take seconds to import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = getattr(importlib.import_module(VERBS[cmd_name]), f"{cmd_name}_verb")
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Call the verb."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, EOFError) as error:
            raise Mistakable(error) from error


@click.group(cls=LazyVerbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def potluck() -> None:
    """One Feast feature repo in, three prediction services out.

    A fresh home goes: ingest, apply, materialize, train, nightly, serve.
    """


def main() -> None:
    """Run the verb that the command line names."""
    run_command(potluck)


def run_command(command: click.Command) -> None:
    """Run a command; whatever fails ends with an exit code and words of its own, not a trace."""
    as_json = "--json" in sys.argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without UTF-8 shows what it can.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command.main(standalone_mode=False)
    except PotluckError as error:
        exit_with(error, as_json=as_json)
    except click.ClickException as error:
        if as_json:
            exit_with(UsageError(error.format_message()), as_json=True)
        print_usage_error(error)
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        say_interrupted()
        raise SystemExit(130) from None
    except Mistakable as wrapped:
        if isinstance(wrapped.error, BrokenPipeError) and nobody_reads(STANDARD_OUTPUT):
            raise SystemExit(1) from None
        exit_with(explain_error(wrapped.error), as_json=as_json)
    except SystemExit as error:
        # A repo's own `sys.exit()` is an error, whatever its code: the verb was not done.
        if place_in_repo(error):
            exit_with(explain_error(error), as_json=as_json)
        raise
    except Exception as error:
        exit_with(explain_error(error), as_json=as_json)


def say_interrupted() -> None:
    if logs.is_set_up():
        logging.getLogger("potluck").warning("interrupted")
    else:
        click.echo("potluck: interrupted", err=True)


def exit_with(error: PotluckError, *, as_json: bool) -> NoReturn:
    print_error(error, as_json=as_json)
    raise SystemExit(error.exit_code) from None


def print_usage_error(error: click.ClickException) -> None:
    """Print a usage error as click does, but without what a terminal would obey."""
    shown = io.StringIO()
    error.show(shown)
    say(masked(shown.getvalue().rstrip("\n")), err=True)


def nobody_reads(stream: int) -> bool:
    """Whether the other end of a pipe is closed, as `potluck status | head -1` leaves it."""
    poll = select.poll()
    poll.register(stream, 0)  # no event is asked for: errors are told in any case
    return bool(poll.poll(0))


if __name__ == "__main__":
    main()
