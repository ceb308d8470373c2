"""What Redis' own words mean where it does not take rows, and what to do."""

from potluck.contract.errors import ServiceUnreachable

ADVICE = {
    "OOM": "Redis is full: raise its maxmemory or take data out",
    "READONLY": "this is a replica: name the primary, or its sentinels, in REDIS_URL",
    "MOVED": (
        "this server is part of a cluster whose slots moved: "
        "name it as a cluster in REDIS_URL, or wait"
    ),
    "ASK": "the cluster is moving slots: wait until it is done",
    "TRYAGAIN": "the cluster is moving slots: wait until it is done",
    "CLUSTERDOWN": "the cluster has lost a node: bring it back",
    "MISCONF": "Redis can't save to its disk: make room there",
    "LOADING": "Redis is still reading its files: wait until it answers a ping",
    "NOPERM": "the user of REDIS_URL may not do this: grant it HSET, HMGET, HDEL and EXPIRE",
    "NOAUTH": "REDIS_URL needs a password",
}


def unreachable(said: str) -> ServiceUnreachable:
    """Redis's own words, what they mean, and what to do."""
    advice = ADVICE.get(said.split(" ", 1)[0], "check REDIS_URL and that Redis is up")
    return ServiceUnreachable(
        f"Redis did not take all rows ({said.strip()}); {advice}, then run again: what is written "
        "stays, and is written again"
    )
