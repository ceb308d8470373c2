"""How long the log is kept: by age, by size, and not an entity's rows beyond a request to erase."""

from datetime import UTC, date, datetime, timedelta

from monitoring.decode.decoder import Decoder
from monitoring.parts import Part, PartFiles
from potluck.contract.settings import Settings


def remove_old(decoder: Decoder, settings: Settings, today: date | None = None) -> list[Part]:
    """Remove what the settings do not keep.

    Returns:
        The files that were removed.
    """
    today = today or datetime.now(UTC).date()
    finish_removal(decoder)
    own = decoder.parts.own()
    old = too_old(own, settings.keep_inferences_days, today)
    rest = [part for part in own if part not in old]
    large = too_many(rest, settings.keep_inferences_bytes)
    removed = [*old, *large]
    if removed:
        remove_parts(decoder, removed)
    return removed


def too_old(parts: list[Part], days: int | None, today: date) -> list[Part]:
    """Return the files of days before those that are kept."""
    if days is None:
        return []
    first = f"{today - timedelta(days=days):%Y-%m-%d}"
    return [part for part in parts if part.day < first]


def too_many(parts: list[Part], most_bytes: int | None) -> list[Part]:
    """Return the oldest files, as many as have to go; the newest one always stays."""
    if most_bytes is None:
        return []
    total = sum(part.size for part in parts)
    removed = []
    for part in parts[:-1]:
        if total <= most_bytes:
            break
        removed.append(part)
        total -= part.size
    return removed


def remove_parts(decoder: Decoder, parts: list[Part]) -> None:
    """Remove files, and count their rows as removed, whatever happens in between."""
    progress = decoder.progress
    progress.removing = {each.path: decoder.parts.footer(each.path).num_rows for each in parts}
    progress.save(decoder.layout.decoded)
    finish_removal(decoder)


def finish_removal(decoder: Decoder) -> None:
    """Remove what was to be removed, also by a decoder that was killed at it."""
    progress = decoder.progress
    if not progress.removing:
        return
    there = {part.path: part for part in decoder.parts.own()}
    for path in progress.removing:
        if path in there:
            decoder.parts.remove(there[path])
    progress.removed += sum(progress.removing.values())
    progress.removing = {}
    progress.save(decoder.layout.decoded)


def rows_in(parts: PartFiles) -> int:
    """Return how many rows this server's files hold."""
    return sum(parts.footer(part.path).num_rows for part in parts.own())
