"""`potluck`: the verbs, found by name and imported when they are called."""

import importlib
import sys

import click

from cli.output import tell
from potluck import __version__
from potluck.contract.errors import PotluckError, UsageError

VERBS = {
    "ingest": "cli.data",
    "apply": "cli.data",
    "materialize": "cli.data",
    "check": "cli.check",
    "train": "cli.models",
    "pull": "cli.models",
    "nightly": "cli.night",
    "export": "cli.night",
    "schedule": "cli.schedule",
    "serve": "cli.server",
    "predict": "cli.calls",
    "lookup": "cli.calls",
    "up": "cli.stack",
    "down": "cli.stack",
    "status": "cli.stack",
    "env": "cli.stack",
}


class LazyVerbs(click.Group):
    """Imports a verb's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = getattr(importlib.import_module(VERBS[cmd_name]), f"{cmd_name}_verb")
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyVerbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def potluck() -> None:
    """One Feast feature repo in, three prediction services out.

    A fresh home goes: ingest, apply, materialize, train, nightly, serve.
    """


def main() -> None:
    """Run a verb; an error that Potluck foresaw ends with its own exit code and without a trace."""
    try:
        potluck.main(standalone_mode=False)
    except PotluckError as error:
        tell(error, "--json" in sys.argv)
        raise SystemExit(error.exit_code) from None
    except ModuleNotFoundError as error:
        told = f"this installation can't do that: it lacks {error.name}; install potluck[platform]"
        tell(UsageError(told), "--json" in sys.argv)
        raise SystemExit(UsageError.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo("potluck: interrupted", err=True)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
