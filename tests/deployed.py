"""What deploy/ gives to Prometheus and Grafana: its rules, and the panels' queries as Grafana would send them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.promql import EXPORTED, labels_of

__all__ = ["ALERTS", "DASHBOARD", "DEPLOY", "KNOWN", "RULES", "RULES_FOLDER", "Query", "queries"]

DEPLOY: Final = Path(__file__).parents[1] / "deploy"
RULES_FOLDER: Final = DEPLOY / "prometheus"
_GROUPS: Final = yaml.safe_load((RULES_FOLDER / "rules.yml").read_text())["groups"]
RULES: Final[list[dict[str, Any]]] = [rule for group in _GROUPS for rule in group["rules"]]
ALERTS: Final = {rule["alert"]: rule for rule in RULES if "alert" in rule}

DASHBOARD: Final[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "dashboards" / "sluice.json").read_text())
VARIABLES: Final = {"$__rate_interval": "1m", "$merchant": ".*"}
"""What stands for them: everything is chosen, and a minute is four scrapes and more."""


def _known() -> dict[str, frozenset[str]]:
    found = dict(EXPORTED)
    for rule in RULES:
        if "record" in rule:
            found[rule["record"]] = labels_of(rule["expr"], found)
    return found


KNOWN: Final[Mapping[str, frozenset[str]]] = _known()
"""The labels of what is exported, and of what the rules record of it, each of what stands before it."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. `legend`: the labels that it shows."""

    panel: str
    expr: str
    legend: str


def queries() -> list[Query]:
    """All of them, panel by panel."""
    found = []
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expr = target["expr"]
            for name, value in VARIABLES.items():
                expr = expr.replace(name, value)
            found.append(Query(panel["title"], expr, target["legendFormat"]))
    return found
