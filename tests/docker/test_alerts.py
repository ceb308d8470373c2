"""The alerting rules speak of metrics that there are, and of a night that was missed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

RULES = Path(__file__).resolve().parent.parent.parent / "docker" / "alerts.yml"
LIMIT = 26 * 3600


@pytest.fixture
def rules() -> dict[str, Any]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_every_rule_is_whole(rules: dict[str, Any]) -> None:
    assert set(rules) == {"PotluckPredictionsStale", "PotluckPublicationAgeAbsent", "PotluckServerDown"}
    for rule in rules.values():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert rule["labels"]["severity"] == "critical"
        assert rule["annotations"]["summary"]


def test_every_metric_of_the_rules_is_told_by_a_server(rules: dict[str, Any], iris: Any) -> None:
    named = {name for rule in rules.values() for name in re.findall(r"\bpotluck_\w+", rule["expr"])}
    told = iris.get("/metrics").text
    assert named
    for name in named:
        assert re.search(rf'^{name}{{service="{iris.repo.batch}"}} ', told, re.MULTILINE)


def test_stale_is_a_night_and_two_hours(rules: dict[str, Any]) -> None:
    metric, limit = rules["PotluckPredictionsStale"]["expr"].split(" > ")
    hours, seconds = map(int, limit.split(" * "))
    assert (metric, hours * seconds) == ("potluck_publication_age_seconds", LIMIT)


def test_a_server_that_tells_nothing_or_is_not_there_is_noticed(rules: dict[str, Any]) -> None:
    assert rules["PotluckPublicationAgeAbsent"]["expr"] == "absent(potluck_publication_age_seconds)"
    assert rules["PotluckServerDown"]["expr"] == 'up{job="potluck"} == 0 or absent(up{job="potluck"})'
