"""deploy/prometheus: each expression has a result by what is exported, and each alert has rung on recorded series.

What a running Prometheus makes of it over a loaded system: tests/e2e/test_dashboard.py.
"""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from gateway.domain.alerts import AlertKind
from tests.deployed import ALERTS, DEPLOY, KNOWN, RULES_FOLDER
from tests.promql import NoResultError, labels_of, selectors

ROOT = DEPLOY.parent
TESTS = yaml.safe_load((RULES_FOLDER / "rules_test.yml").read_text())["tests"]
PROMTOOL = shutil.which("promtool")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_reads_what_is_exported_and_tells_labels_that_it_has(name: str) -> None:
    rule = ALERTS[name]
    has = labels_of(rule["expr"], KNOWN)
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= has


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "runbook"}
    page, _, section = rule["annotations"]["runbook"].partition("#")
    sections = {heading.lower().replace(" ", "-") for heading in HEADING.findall((ROOT / page).read_text())}
    assert section in sections
    assert f"`{name}`" in (ROOT / page).read_text()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_was_seen_to_ring_and_to_keep_still(name: str) -> None:
    looks = [look for test in TESTS for look in test["alert_rule_test"] if look["alertname"] == name]
    assert {bool(look.get("exp_alerts")) for look in looks} == {True, False}


def test_alerts_of_every_kind_ring_somewhere() -> None:
    [matcher] = selectors(ALERTS["SluiceOtherAlert"]["expr"])[0].matchers.matchers
    rest = {kind.value for kind in AlertKind} - set(matcher.value.split("|"))
    named = {each.value for rule in ALERTS.values() for s in selectors(rule["expr"]) for each in s.matchers.matchers}
    elsewhere = {
        "channel_degraded": "SluiceChannelDegraded",
        "held_events": "SluiceHeldEvents",
        "statement_late": "SluiceStatementLate",
        "old_snapshot": "SluiceOldSnapshot",
        "balance_low": "SluiceBalanceLow",
        "balance_silent": "SluiceBalanceUnknown",
    }
    assert set(matcher.value.split("|")) - named == elsewhere.keys()
    assert set(elsewhere.values()) <= ALERTS.keys()
    assert not rest & named, "told twice"


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        ("sum(sluice_psp_calls)", "nobody exports"),
        ("sum by (app) (sluice_psp_calls_total)", "no label app"),
        ('sluice_psp_calls_total{result="dead"}', "no label result"),
        ("max by (job) (sluice_clock_right) and max by (role) (sluice_clock_right)", "never match"),
        ("histogram_quantile(0.9, sum by (route) (rate(sluice_http_request_seconds_bucket[1m])))", "no label le"),
        ("sum(sluice_queue_length) / on () sum(up)", "aggregate both sides"),
        ("deriv(sluice_queue_length[1m])", "is not known here"),
    ],
)
def test_what_can_have_no_result_is_refused(expr: str, why: str) -> None:
    with pytest.raises(NoResultError, match=why):
        labels_of(expr)


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="promql"):
        labels_of("sum by route (sluice_queue_length)")


@pytest.mark.skipif(
    PROMTOOL is None and not os.environ.get("SLUICE_NEEDS_PROMETHEUS"), reason="no promtool (Debian: prometheus)"
)
@pytest.mark.parametrize("words", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")])
def test_promtool_says_so_too(words: tuple[str, ...]) -> None:
    assert PROMTOOL is not None
    said = subprocess.run([PROMTOOL, *words], cwd=RULES_FOLDER, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
