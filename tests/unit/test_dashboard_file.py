"""The Grafana dashboard as a file: its queries read what is exported, and it can be looked at.

That every query gives numbers over a loaded system: tests/e2e/test_dashboard.py.
"""

import re
from pathlib import Path

import pytest
import yaml

from tests.deployed import DASHBOARD, DEPLOY, KNOWN, Query, queries
from tests.promql import labels_of, selectors

WIDTH = 24
UNITS = {"cps", "percentunit", "reqps", "s", "short"}


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.expr)
def test_a_query_reads_what_is_exported_and_its_legend_has_labels_that_it_gives(query: Query) -> None:
    assert "$" not in query.expr
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= labels_of(query.expr, KNOWN)


def test_a_query_of_a_merchants_series_is_of_the_merchants_that_are_chosen() -> None:
    of_merchants = {name for name, labels in KNOWN.items() if "merchant" in labels}
    for query in queries():
        for selector in selectors(query.expr):
            chosen = [matcher.value for matcher in selector.matchers.matchers if matcher.name == "merchant"]
            assert chosen == ([".*"] if selector.name in of_merchants else []), query


def test_each_panel_has_a_title_in_both_languages_a_unit_and_a_place_of_its_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert re.fullmatch(r"[A-Z][ -~]+ · .*[\u4e00-\u9fff].*", panel["title"])
        at = panel["gridPos"]
        place = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not place & taken
        assert at["x"] + at["w"] <= WIDTH
        taken |= place
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"] in UNITS


def test_what_is_provisioned_fits_together() -> None:
    grafana = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((grafana / "datasources" / "prometheus.yml").read_text())["datasources"]
    used = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if "datasource" in panel}
    assert used == {source["uid"]}
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"]
    for service in ("prometheus", "grafana"):
        for volume in compose[service]["volumes"]:
            if volume.startswith("./"):
                assert (DEPLOY.parent / Path(volume.split(":")[0])).is_dir()
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert all((DEPLOY / "prometheus" / name).exists() for name in config["rule_files"])
    assert [job["job_name"] for job in config["scrape_configs"]] == ["sluice"]
