"""What a verb does first: its settings, its home, and the libraries that it is about to import."""

import importlib.util
import logging
import os
import warnings
from pathlib import Path
from typing import Any

from potluck.contract.errors import UsageError
from potluck.contract.settings import Settings, load_settings


def settings_for(repo: Path | None, **flags: object) -> Settings:
    """Load the settings of this command.

    They are put into the environment as well, for the processes that it starts and for Feast's
    plug-ins.
    """
    settings = load_settings(repo=repo, **flags)
    check_home(settings.home)
    os.environ.update(settings.variables())
    return settings


def check_home(home: Path) -> None:
    """See that the home is a folder, or can become one.

    Raises:
        UsageError: a file is in its way.
    """
    there = next(path for path in (home, *home.parents) if path.exists())
    if not there.is_dir():
        raise UsageError(
            f"expected a folder for the home {home}, but {there} is a file; "
            "set POTLUCK_HOME to another"
        )


def prepare_libraries(settings: Settings) -> None:
    """Make Feast and MLflow start faster and keep quiet; call it before either is imported.

    With POTLUCK_LOG_LEVEL=DEBUG both stay as they are.
    """
    if settings.log_level == "DEBUG":
        return
    # Feast has typeguard rewrite its classes while it is imported, which takes longer than the
    # rest of a verb.
    if importlib.util.find_spec("typeguard") is not None:
        import typeguard

        typeguard.typechecked = leave_unchecked
    # Not `warnings.filterwarnings`: Feast sets filters of its own when it is imported.
    warnings.showwarning = lambda *_, **__: None
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("feast").setLevel(logging.ERROR)


def leave_unchecked(target: Any = None, **_: Any) -> Any:
    """Stand in for `typeguard.typechecked`, with and without options: the code stays as it is."""
    return target if target is not None else leave_unchecked
