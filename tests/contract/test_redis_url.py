"""One variable names the online store in every deployment, and says what it takes."""

import pytest

from potluck.contract.errors import UsageError
from potluck.contract.redis_url import RedisUrl, parse_redis_url
from potluck.contract.settings import load_settings


@pytest.mark.parametrize(
    ("url", "hosts", "tls"),
    [
        ("redis://somewhere", (("somewhere", 6379),), False),
        ("redis://somewhere:7000/3", (("somewhere", 7000),), False),
        ("redis://:secret@somewhere:7000", (("somewhere", 7000),), False),
        ("redis://somewhere:1", (("somewhere", 1),), False),
        ("redis://somewhere:65535", (("somewhere", 65535),), False),
        ("redis:///2", (("localhost", 6379),), False),
        ("redis://[::1]:7000", (("::1", 7000),), False),
        ("rediss://ann:secret@somewhere?ssl_ca_certs=/etc/ca.pem", (("somewhere", 6379),), True),
        ("unix:///run/redis.sock?db=5", (), False),
        ("unix://ann:secret@/run/redis.sock", (), False),
    ],
)
def test_one_server(url: str, hosts: tuple[tuple[str, int], ...], tls: bool) -> None:
    where = parse_redis_url(url)
    assert (where.deployment, where.hosts, where.tls, where.service) == ("server", hosts, tls, "")


def test_sentinels_with_the_service_that_they_watch() -> None:
    where = parse_redis_url(
        "rediss+sentinel://ann:s%40y@one,two:7000,[::1]/ours/2?sentinel_password=x"
    )
    hosts = (("one", 26379), ("two", 7000), ("::1", 26379))
    plain = "rediss://ann:s%40y@one:26379/2?sentinel_password=x"
    assert where == RedisUrl("sentinel", True, hosts, "ours", plain)


def test_a_cluster_by_some_of_its_nodes() -> None:
    where = parse_redis_url("redis+cluster://:secret@one:7000,two/0?socket_timeout=2")
    hosts = (("one", 7000), ("two", 6379))
    assert where == RedisUrl(
        "cluster", False, hosts, "", "redis://:secret@one:7000?socket_timeout=2"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:6379", "begins otherwise"),
        ("http://ann:secret@somewhere", "begins otherwise"),
        ("redis+sentinels://ann:secret@somewhere/ours", "begins otherwise"),
        ("redis://ann:secret@somewhere:http", "port"),
        ("redis://ann:secret@somewhere:0", "port"),
        ("redis://ann:secret@somewhere:65536", "port"),
        ("redis://ann:secret@somewhere:70000", "port"),
        ("redis://ann:secret/more@somewhere", "%2F"),
        ("redis://ann:secret#more@somewhere", "%23"),
        ("redis://ann:secret@somewhere/first", "db"),
        ("redis://ann:secret@one,two", "several hosts"),
        ("redis+sentinel://ann:secret@one,two", "service"),
        ("redis+sentinel://ann:secret@one,two/ours/first", "db"),
        ("redis+cluster://ann:secret@one/1", "db"),
        ("unix://", "socket"),
        ("unix://ann:secret@", "socket"),
        ("redis://somewhere?passwort=secret", "no such option"),
        ("redis://somewhere?protocol=3&password=secret", "no such option"),
        ("redis://somewhere?ssl_ca_certs=secret", "no such option"),
        ("redis+cluster://somewhere?sentinel_password=secret", "no such option"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected_and_without_its_secrets(
    url: str, reason: str
) -> None:
    for refuse in (parse_redis_url, lambda text: load_settings(redis_url=text)):
        with pytest.raises(UsageError) as caught:
            refuse(url)
        said = str(caught.value)
        assert said.startswith("REDIS_URL")
        assert reason in said
        assert "redis+sentinel://[user:password@]host:port" in said
        assert "secret" not in said


def test_the_parts_show_no_password() -> None:
    assert "secret" not in repr(parse_redis_url("redis+sentinel://ann:secret@one/ours"))
