"""Take entities that left the data out of the online store: Feast writes them, and never deletes one."""

from feast import FeatureStore, FeatureView
from feast.infra.online_stores.helpers import _mmh3, _redis_key_prefix

from potluck.contract.features import Field
from potluck.contract.redis_format import Scalar, entity_key, timestamp_field
from potluck.stores.redis_client import RedisClient

SCAN_COUNT = 10_000


def prune_view(
    client: RedisClient, store: FeatureStore, view: FeatureView, keys: list[Field], present: set[bytes]
) -> int:
    """Delete a view's features of every entity whose key is not among those present, and answer how many there were.

    Args:
        present: Redis keys of the entities that the data holds.
    """
    fields = [timestamp_field(view.name).encode(), *(_mmh3(f"{view.name}:{f.name}") for f in view.features)]
    pattern = glob_escaped(_redis_key_prefix([key.name for key in keys])) + b"*" + glob_escaped(store.project.encode())
    found = client.scan_iter(pattern, count=SCAN_COUNT)
    gone = [name for name in found if name not in present and project_of(name, len(keys)) == store.project]
    pipe = client.pipeline(transaction=False)
    for name in gone:
        pipe.execute_command("HDEL", name, *fields)
    return sum(1 for deleted in pipe.execute() if deleted)


def present_keys(project: str, keys: list[Field], rows: list[dict[str, Scalar]]) -> set[bytes]:
    """Redis keys of these entities."""
    names, dtypes = [key.name for key in keys], [key.dtype for key in keys]
    return {entity_key(project, names, [row[name] for name in names], dtypes) for row in rows}


def project_of(name: bytes, keys: int) -> str:
    """The project behind an entity's key: a pattern can't tell `rent` from `current`.

    Args:
        name: a Redis key that begins as the entity keys of `keys` join keys do.
    """
    rest = name[4:]
    for _ in range(2 * keys):  # names first, then values, each with its type and length
        length = int.from_bytes(rest[4:8], "little")
        rest = rest[8 + length :]
    return rest.decode(errors="replace")


def glob_escaped(text: bytes) -> bytes:
    """Bytes that Redis matches as they are."""
    return b"".join(b"\\" + bytes([byte]) if bytes([byte]) in b"*?[]^-\\" else bytes([byte]) for byte in text)
