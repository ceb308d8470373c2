"""Several files replaced together: each by one rename, all of them or none.

What is replaced stays beside, in `.replaced`, until the next swap; `swap_back` brings it back. A
swap that was killed between two renames leaves a note there, and the next one puts the old files
back before it begins.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from potluck.contract.files import sync_file, sync_folder, write_whole

STAGED, REPLACED = ".staged", ".replaced"
UNFINISHED = "unfinished.json"
"""Names that a swap is about to replace, and those of them that were there before."""


@contextlib.contextmanager
def swapped(folder: Path) -> Iterator[Path]:
    """A folder to write files into; when the block ends they go where files of their names are, all
    or none.

    Call it with the folder's lock held.
    """
    put_back(folder)
    staged = folder / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        yield staged
        exchange(folder, sorted(path.name for path in staged.iterdir()))
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def exchange(folder: Path, names: Sequence[str]) -> None:
    """Keep the old files beside, then rename each new one into its place; an error puts the old
    ones back."""
    replaced = folder / REPLACED
    shutil.rmtree(replaced, ignore_errors=True)
    replaced.mkdir()
    there = [name for name in names if (folder / name).exists()]
    for name in there:
        keep(folder / name, replaced / name)
    note = replaced / UNFINISHED
    write_whole(note, json.dumps({"names": list(names), "there": there}).encode())
    try:
        for name in names:
            sync_file(folder / STAGED / name)
            os.replace(folder / STAGED / name, folder / name)
        sync_folder(folder)
    except OSError:
        put_back(folder)
        raise
    note.unlink()


def swap_back(folder: Path) -> list[str]:
    """Put the files of before the last swap back, and answer their names; called again it goes
    forward.

    Files that the last swap added stay. Call it with the folder's lock held.
    """
    put_back(folder)
    replaced = folder / REPLACED
    names = sorted(path.name for path in replaced.glob("*") if not path.name.startswith("."))
    if names:
        with swapped(folder) as staged:
            for name in names:
                keep(replaced / name, staged / name)
    return names


def keep(path: Path, beside: Path) -> None:
    """Give a file a second name: a rename over the first name leaves the file as it is."""
    try:
        os.link(path, beside)
    except OSError:  # a file system without links
        shutil.copy2(path, beside)


def put_back(folder: Path) -> None:
    """Undo a swap that did not come to its end, if there is one."""
    replaced = folder / REPLACED
    note = replaced / UNFINISHED
    if not note.exists():
        return
    begun = json.loads(note.read_text())
    for name in begun["names"]:
        if name not in begun["there"]:
            (folder / name).unlink(missing_ok=True)
        elif (replaced / name).exists():
            os.replace(replaced / name, folder / name)
    note.unlink()
