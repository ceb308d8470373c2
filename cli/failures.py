"""How a command ends at an error that is not one of Potluck's.

One that nobody foresaw is told on one line, and its whole trace goes into a file. A failing disk or
a file in a folder's place is foreseen, wherever it shows; so is an error of the repo's own code.
"""

import errno
import os
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from cli.output import printable
from potluck import __version__
from potluck.contract.errors import PotluckError, UsageError
from potluck.contract.home import make_home
from potluck.contract.secrets import masked
from potluck.contract.settings import load_settings

LONGEST_REASON = 300
"""Characters of an error's text that are told."""
ADVICE = {
    errno.EACCES: "this user may not do that; give it the right to, or set POTLUCK_HOME to a "
    "folder of its own",
    errno.EPERM: "this is not permitted; set POTLUCK_HOME to a folder that this user may write",
    errno.EROFS: "the file system is read-only; set POTLUCK_HOME to a folder that can be written",
    errno.ENOSPC: "no space is left on the device; make room and run it again",
    errno.EDQUOT: "the user's quota is used up; make room and run it again",
    errno.ENOTDIR: "expected a folder, found a file; choose another path",
    errno.EEXIST: "expected a folder, found a file; choose another path",
    errno.EISDIR: "expected a file, found a folder; choose another path",
    errno.ENAMETOOLONG: "the name is too long for this file system; choose a shorter one",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n`) and run it again",
}


class Unforeseen(PotluckError):
    """An error that nobody foresaw, as it is told; `--json` shows the name of this class."""


def explain_error(error: BaseException) -> PotluckError:
    """Make the error that a command ends with of one that is not Potluck's.

    The trace of one that nobody foresaw is written to a file.
    """
    if not working_directory():
        return PotluckError("the working directory is gone; change to another one and run it again")
    if isinstance(error, OSError) and error.errno in ADVICE:
        path = f"{error.filename}: " if error.filename is not None else ""
        return PotluckError(f"{path}{ADVICE[error.errno]}")
    place = place_in_repo(error)
    if isinstance(error, ModuleNotFoundError):
        return missing_module_error(error, place)
    said = f"{type(error).__name__}: {reason_in_short(error)}"
    log = write_trace(error)
    if place:
        return Unforeseen(
            f"the repo's own code failed at {place}: {said}; the whole trace stands in {log}"
        )
    verb = verb_of(sys.argv)
    return Unforeseen(
        f"unexpected failure of `{verb}`: {said}; the whole trace stands in {log}; "
        "please report it with that file"
    )


def missing_module_error(error: ModuleNotFoundError, place: str) -> PotluckError:
    if place:
        return UsageError(
            f"{place} imports {error.name}, which is not installed; install it beside Potluck"
        )
    return UsageError(
        f"this installation can't do that: it lacks {error.name}; install potluck[platform]"
    )


def reason_in_short(error: BaseException) -> str:
    """The first line of an error's text."""
    lines = str(error).strip().splitlines()
    return lines[0][:LONGEST_REASON] if lines else "it says no more"


def place_in_repo(error: BaseException) -> str:
    """The innermost file and line of the feature repo that an error passed.

    Empty if it passed none.
    """
    repo = Path(os.environ.get("POTLUCK_REPO", "")).absolute()
    if not (repo / "feature_store.yaml").is_file():
        return ""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):  # its file was read, and did not run
        places.append((error.filename or "", error.lineno))
    own = [f"{file}, line {line}" for file, line in places if is_own(Path(file), repo)]
    return own[-1] if own else ""


def is_own(file: Path, repo: Path) -> bool:
    """Whether a file is the repo's, and no library's in an environment of the same folder."""
    return file.is_relative_to(repo) and not file.is_relative_to(sys.prefix)


def verb_of(words: list[str]) -> str:
    """The command without its arguments, which may be anything."""
    word = words[1] if len(words) > 1 else ""
    return f"potluck {word}" if word.isidentifier() else "potluck"


def write_trace(error: BaseException) -> str:
    """Write the trace to a file, or to standard error where no file can be written.

    Returns:
        Where it stands.
    """
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S%fZ}-{verb_of(sys.argv).removeprefix('potluck ')}.log"
    text = masked(trace_text(error, now))
    for folder in log_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        except OSError:
            continue
        return str(folder / name)
    print(printable(text), file=sys.stderr)
    return "the lines above"


def trace_text(error: BaseException, now: datetime) -> str:
    head = [
        f"time: {now.isoformat()}",
        f"potluck {__version__}, Python {sys.version}, {sys.platform}",
        f"command: {' '.join(sys.argv)}",
        f"working directory: {working_directory()}",
    ]
    return "\n".join([*head, "", *traceback.format_exception(error)])


def working_directory() -> str:
    """The working directory; empty if it was deleted."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def log_folders() -> list[Path]:
    """Where the trace may go: into the home, or else among the temporary files."""
    folders = [Path(tempfile.gettempdir())]
    try:
        home = load_settings().home
        make_home(home)
        return [home / "logs", *folders]
    except Exception:  # the settings may be what is wrong
        return folders
