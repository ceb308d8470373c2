"""Where the online store is: one Redis server, one behind Sentinel, or a Cluster, in one URL."""

from dataclasses import dataclass, field
from typing import Literal

from potluck.contract.errors import UsageError

Deployment = Literal["server", "sentinel", "cluster"]

FORMS = (
    "redis://[user:password@]host:port[/db], unix:///path[?db=0], "
    "redis+sentinel://[user:password@]host:port[,host:port…]/service[/db] or "
    "redis+cluster://[user:password@]host:port[,host:port…], with rediss in place of redis for TLS"
)
SCHEMES: dict[str, Deployment] = {
    "redis": "server",
    "rediss": "server",
    "unix": "server",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
}
PORTS: dict[Deployment, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
OPTIONS = (
    "client_name",
    "db",
    "health_check_interval",
    "max_connections",
    "password",
    "sentinel_password",
    "sentinel_username",
    "socket_connect_timeout",
    "socket_timeout",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "username",
)


@dataclass(frozen=True)
class RedisUrl:
    """A URL taken apart."""

    deployment: Deployment
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    """The server, the sentinels, or nodes that know the cluster; none for a unix socket."""
    service: str
    """Sentinel's name for the master; empty without Sentinel."""
    plain: str = field(repr=False)
    """The URL of one server, as redis-py reads it: with credentials, db and options."""


def parse_redis_url(url: str) -> RedisUrl:
    """Take a URL apart.

    Raises:
        UsageError: it has none of the forms. The message holds nothing of the URL: a password may
            be in it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise wrong("it begins otherwise")
    if "#" in rest:
        raise wrong("a '#' is written %23")
    where, mark, query = rest.partition("?")
    check_options(scheme, query)
    if scheme != "unix":
        return server_url(scheme, where, mark + query)
    if not where.partition("/")[2]:
        raise wrong("it names no socket")
    return RedisUrl("server", tls=False, hosts=(), service="", plain=url)


def check_options(scheme: str, query: str) -> None:
    for option in filter(None, query.split("&")):
        name = option.partition("=")[0]
        wants_tls = name.startswith("ssl_") and not scheme.startswith("rediss")
        wants_sentinel = name.startswith("sentinel_") and SCHEMES[scheme] != "sentinel"
        if name not in OPTIONS or wants_tls or wants_sentinel:
            raise wrong(f"{scheme}:// takes no such option; there are: {', '.join(OPTIONS)}")


def server_url(scheme: str, where: str, query: str) -> RedisUrl:
    deployment = SCHEMES[scheme]
    authority, _, path = where.partition("/")
    credentials, at, hosts = authority.rpartition("@")
    servers = tuple(host_and_port(part, PORTS[deployment]) for part in hosts.split(","))
    if deployment == "server" and len(servers) > 1:
        raise wrong("several hosts are for redis+sentinel:// or redis+cluster://")
    service, db = service_and_db(deployment, path)
    host, port = servers[0]
    bracketed = f"[{host}]" if ":" in host else host  # an IPv6 address
    plain = f"{scheme.partition('+')[0]}://{credentials}{at}{bracketed}:{port}{db}{query}"
    return RedisUrl(deployment, scheme.startswith("rediss"), servers, service, plain)


def host_and_port(text: str, default: int) -> tuple[str, int]:
    """Read one `host`, `host:port` or `[IPv6]:port`; an empty host is this machine."""
    bracketed, closing, after = text.partition("]")
    host, colon, port = (
        (bracketed[1:], *after.partition(":")[1:]) if closing else text.partition(":")
    )
    if colon and not (is_number(port) and 0 < int(port) < 1 << 16):
        raise wrong(
            "a port is no number from 1 to 65535; in a password, '/', '?', '@' and ':' are written "
            "%2F %3F %40 %3A"
        )
    return host or "localhost", int(port) if colon else default


def service_and_db(deployment: Deployment, path: str) -> tuple[str, str]:
    """Sentinel's service, and the path of a plain URL that chooses the db."""
    service, _, db = path.partition("/") if deployment == "sentinel" else ("", "", path)
    if deployment == "sentinel" and not service:
        raise wrong("it does not name Sentinel's service")
    if db and not is_number(db):
        raise wrong("the db is no number")
    if deployment == "cluster" and db.strip("0"):
        raise wrong("a cluster has no other db than 0")
    return service, f"/{db}" if db and deployment != "cluster" else ""


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def wrong(reason: str) -> UsageError:
    return UsageError(f"REDIS_URL is not valid: {reason}; expected {FORMS}")
