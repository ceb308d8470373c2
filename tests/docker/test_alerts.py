"""The alerting rules: they fire when they should, and speak of metrics that there are.

Each has its paragraph in the runbook.
"""

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tools import tool

from serving import metrics

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "docker" / "alerts.yml"
CASES = Path(__file__).parent / "alerts.test.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"

SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""
NAME = re.compile(r"\b(up|potluck_\w+)\b(?:{([^}]*(?:{[^}]*}[^}]*)*)})?")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
GROUPING = re.compile(r"\bby \(([^)]*)\)")


def rules() -> dict[str, Any]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


ALERTS = sorted(rules())


@pytest.mark.parametrize("alert", ALERTS)
def test_a_rule_is_whole(alert: str) -> None:
    rule = rules()[alert]
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]


def test_prometheus_reads_the_rules() -> None:
    command = [tool("promtool"), "check", "rules", str(RULES)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(ALERTS)} rules found" in checked.stdout


def test_each_rule_fires_when_it_should_and_not_before() -> None:
    command = [tool("promtool"), "test", "rules", str(CASES)]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_each_rule_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    outcomes = defaultdict(set)
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for question in case["promql_expr_test"]:
            named = re.findall(r'alertname="(\w+)"', question["expr"])
            for alert in named or ALERTS:
                outcomes[alert].add(bool(question["exp_samples"]))
    assert outcomes == {alert: {True, False} for alert in ALERTS}


def exported(text: str) -> dict[str, set[str]]:
    """Series of an exposition -> its labels; those that nothing was counted under yet too."""
    found = {"up": set[str]()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for metric in vars(metrics).values():
        labels = set(getattr(metric, "_labelnames", ()))
        for name in getattr(metric, "_name", ""), f"{getattr(metric, '_name', '')}_total":
            if name in text:
                found.setdefault(name, set()).update(labels)
    return found


def test_every_metric_and_label_of_the_rules_is_one_that_a_server_exports(iris: Any) -> None:
    known = exported(iris.get("/metrics").text)
    for alert, rule in rules().items():
        selectors = NAME.findall(rule["expr"])
        assert selectors, alert
        grouped = set(", ".join(GROUPING.findall(rule["expr"])).split(", ")) - {""}
        for name, matchers in selectors:
            assert name in known, f"{alert}: no server exports {name}"
            used = grouped | set(LABEL.findall(matchers))
            unknown = used - known[name] - SCRAPED
            assert not unknown, f"{alert}: {name} has no {unknown}"
        told = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
        every = set.union(*(known[name] for name, _ in selectors)) | SCRAPED
        assert set(told) <= every, alert


def test_the_endpoints_of_the_rules_are_those_that_a_server_tells(iris: Any) -> None:
    """The two rules of latency choose by pattern what was asked for by one row, and by many."""
    iris.post(f"/predict/{iris.repo.hybrid}/batch", {"dataframe_records": []})
    iris.post(f"/predict/{iris.repo.hybrid}", {})
    iris.get(f"/lookup/{iris.repo.batch}/1")
    iris.post(f"/lookup/{iris.repo.batch}", {"ids": []})
    text = iris.get("/metrics").text
    told = set(re.findall(r'potluck_request_seconds_count{endpoint="([^"]+)"}', text))
    rows = chosen_endpoints("PotluckSlow", told)
    batches = chosen_endpoints("PotluckBatchesSlow", told)
    assert rows == {"/predict/{service}", "/lookup/{service}/{entity_id:path}"}
    assert batches == {"/predict/{service}/batch", "/lookup/{service}"}


def chosen_endpoints(alert: str, endpoints: set[str]) -> set[str]:
    (pattern,) = re.findall(r'endpoint=~"([^"]+)"', rules()[alert]["expr"])
    return {endpoint for endpoint in endpoints if re.fullmatch(pattern, endpoint)}


def test_alerts_and_paragraphs_of_the_runbook_match_one_to_one() -> None:
    headings = re.findall(r"^## (Potluck\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert headings == list(rules())


@pytest.mark.parametrize("alert", ALERTS)
def test_a_paragraph_says_what_it_means_what_is_seen_and_what_to_do(alert: str) -> None:
    assert rules()[alert]["annotations"]["runbook"] == f"docs/runbook.md#{alert.lower()}"
    _, _, rest = RUNBOOK.read_text().partition(f"## {alert}\n\n")
    paragraph, _, _ = rest.partition("\n\n## ")
    assert re.findall(r"\*\*(.+?)\*\*", paragraph) == ["Means.", "Users see.", "Look at.", "Do."]
