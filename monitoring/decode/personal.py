"""What the log may keep of a field: its value, a salted hash of it, or nothing."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from potluck.contract.files import write_whole
from potluck.contract.settings import Settings
from potluck.inference_log.layout import LogLayout

SALT_BYTES = 32
HASH_CHARACTERS = 16


class Personal:
    """The fields that the settings name."""

    def __init__(self, left_out: Sequence[str], hashed: Sequence[str], salt: bytes) -> None:
        self.left_out, self.hashed, self.salt = frozenset(left_out), frozenset(hashed), salt

    def keeps(self, field: str) -> bool:
        """Whether anything of a field is kept."""
        return field not in self.left_out

    def column(self, field: str, values: Sequence[Any]) -> Sequence[Any]:
        """Return what is kept of a field's values."""
        if field not in self.hashed:
            return values
        return [self.digest(value) for value in values]

    def digest(self, value: Any) -> str | None:
        """Return the hash by which equal values are told without their being known."""
        if value is None:
            return None
        return hashlib.sha256(self.salt + str(value).encode()).hexdigest()[:HASH_CHARACTERS]


def personal_of(settings: Settings) -> Personal:
    """Return what the settings ask for; the salt is made once for a home."""
    layout = LogLayout(settings.home)
    if settings.hashed_fields and not layout.salt.exists():
        write_whole(layout.salt, secrets.token_bytes(SALT_BYTES), mode=0o600)
    salt = layout.salt.read_bytes() if settings.hashed_fields else b""
    return Personal(settings.left_out_fields, settings.hashed_fields, salt)
