"""The dashboard and the rules over a loaded system: what they read is there, and a real Prometheus makes numbers of it.

Without Prometheus only the first half is looked at: that every series a panel reads is in `/metrics` with a number.
Not here: when alerts ring (deploy/prometheus/rules_test.yml), how the dashboard looks.
"""

import asyncio
import io
import math
import os
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import orjson
import promql_parser as promql
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.run import collector
from gateway.watch import channels, standing
from gateway.workers import hold, open_payments
from tests.deployed import ALERTS, KNOWN, RULES, queries
from tests.e2e.business import App, Shown
from tests.e2e.conftest import NewDatabase
from tests.e2e.merchants import that_pays_out
from tests.e2e.prometheus import MISSING, NEEDED, PROGRAM, prometheus
from tests.e2e.waiting import until
from tests.e2e.world import World, new_world
from tests.log_template import misfits
from tests.promql import OF_TARGETS, needed, selectors

STAYS_OPEN_S = 600
NO_BALANCE_TAIL = "3008"
LOOKED_WITHIN_S = 20.0
RECORDED = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}


@pytest.fixture
async def loaded(new_database: NewDatabase, psp_keys: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A system of its own, whose watches look at every tick: the one that tests share has looked a while ago."""
    for watch in (channels, standing, open_payments):
        monkeypatch.setattr(watch, "EVERY_S", 0.5)
    monkeypatch.setattr(hold, "COUNTED_EVERY", timedelta(0))
    async with new_world(await new_database(), psp_keys) as world, collector.watched():
        yield world


class Day:
    """What happens at a company: payments of every end, money back and money out, a stopped endpoint, a stranger."""

    def __init__(self, world: World, paying_out: App, stopped: App) -> None:
        self.world, self.paying_out, self.stopped = world, paying_out, stopped

    @classmethod
    async def begins(cls, world: World) -> "Day":
        day = cls(world, await world.merchant(that_pays_out), await world.merchant())
        of_endpoints = f"/merchants/{await world.code_of(day.stopped)}/endpoints"
        for endpoint in (await world.admin("GET", of_endpoints)).body["data"]:
            answer = await world.admin(
                "POST", f"{of_endpoints}/{endpoint['code']}/stop", {"by": "li", "note": "moving"}
            )
            assert answer.status == 200, answer.raw
        return day

    async def goes_on(self) -> None:
        """One of each."""
        world, app = self.world, self.world.app
        lost, open_ = world.order(world.cheap()), world.order(world.dear())
        await world.fault("allinpay", "reset_after", lost["amount"])
        await world.fault("unionpay", "late_final", open_["amount"], seconds=STAYS_OPEN_S)
        await world.fault("unionpay", "lose_callback", open_["amount"])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(app.pay(open_))
            tasks.create_task(self.stopped.pay_to_the_end(world.order(world.cheap())))
            tasks.create_task(self.pays_out())
            tasks.create_task(world.call("POST", f"{world.gateway}/callbacks/demo.unionpay_main", b"orderId=1"))
            order = world.order(world.cheap(), card=world.card(tail=NO_BALANCE_TAIL))
            failed = tasks.create_task(app.pay_to_the_end(order))
            unknown = tasks.create_task(app.pay_to_the_end(lost))
            paid = tasks.create_task(app.pay_to_the_end(world.order(world.dear())))
        ends = [each.result()["status"] for each in (failed, unknown, paid)]
        assert ends == ["failed", "succeeded", "succeeded"]
        refund = await app.refund(paid.result(), 100)
        assert refund.status == 201, refund.raw
        await app.told(paid.result()["id"])

    async def pays_out(self) -> Shown:
        number = self.world.number()
        account = {"type": "personal", "account_no": f"62220210012{number:08d}", "name": "张三", "bank": "ICBC"}
        asked = {"merchant_order_no": f"out-{number}", "channel": "allinpay", "amount": 70_000 + number}
        asked |= {"currency": "CNY", "account": account, "purpose": "放款"}
        answer = await self.paying_out.call("POST", "/v1/payouts", asked)
        assert answer.status == 201, answer.raw
        return dict(answer.body)


async def scraped(world: World) -> dict[str, list[Sample]]:
    """What `/metrics` gives, by name of series; of a name that has no series yet nothing."""
    text = (await world.call("GET", f"{world.gateway}/metrics")).raw.decode()
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        found |= {family.name + end: [] for end in ends}
        for sample in family.samples:
            found[sample.name].append(sample)
    return found


def reads(selector: promql.VectorSelector, sample: Sample) -> bool:
    """Whether a selector takes this sample, and it is a number."""
    wanted = [each for each in selector.matchers.matchers if each.name not in OF_TARGETS]
    return math.isfinite(sample.value) and all(fits(each, sample.labels.get(each.name, "")) for each in wanted)


def fits(matcher: promql.Matcher, value: str) -> bool:
    """As Prometheus matches a label."""
    by_expression = matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe)
    same = bool(re.fullmatch(matcher.value, value)) if by_expression else matcher.value == value
    return same == (matcher.op in (promql.MatchOp.Equal, promql.MatchOp.Re))


async def test_all_that_panels_and_rules_read_is_there_when_a_system_is_loaded(
    written: io.StringIO, loaded: World, tmp_path: Path
) -> None:
    day = await Day.begins(loaded)
    await day.goes_on()
    await everything_that_is_read_is_there(loaded)
    lines = [orjson.loads(line) for line in written.getvalue().splitlines()]
    assert {"request finished", "callback rejected"} <= {line["message"] for line in lines}
    assert {misfit for line in lines for misfit in misfits(line)} == set()
    if PROGRAM is None and not os.environ.get(NEEDED):
        pytest.skip(MISSING)
    async with prometheus(tmp_path, loaded.gateway.removeprefix("http://"), loaded.session) as watching:
        await day.goes_on()
        await watching.has_seen(time.time())
        nothing = {
            query.panel: query.expr
            for query in queries()
            if not any(math.isfinite(value) for value in await watching.values(query.expr))
        }
        assert nothing == {}
        groups = (await watching.asked("rules"))["groups"]
        states = {
            rule["name"]: (rule["health"], rule.get("lastError", "")) for each in groups for rule in each["rules"]
        }
        assert states == dict.fromkeys((*RECORDED, *ALERTS), ("ok", ""))


async def everything_that_is_read_is_there(world: World) -> None:
    """Each series with a number, once the watches of balances, alerts, rates and held events have looked."""
    read = [(query.panel, selector) for query in queries() for selector in needed(query.expr)]
    read += [(name, selector) for name, expr in RECORDED.items() for selector in needed(expr)]
    empty: list[tuple[str, str]] = []

    async def look() -> dict[str, list[Sample]] | None:
        seen = await scraped(world)
        empty[:] = [
            (panel, str(selector))
            for panel, selector in read
            if (name := selector.name or "") not in RECORDED and not any(reads(selector, each) for each in seen[name])
        ]
        return None if empty else seen

    try:
        seen = await until(look, "number of each series that is read", LOOKED_WITHIN_S)
    except AssertionError as error:
        raise AssertionError(f"nothing is shown by {empty}") from error
    for name, rule in ALERTS.items():
        exported = {selector.name for selector in selectors(rule["expr"])} - RECORDED.keys() - {"up"}
        assert exported <= seen.keys(), name
    for name, samples in seen.items():
        assert all(sample.labels.keys() <= KNOWN[name] for sample in samples if name in KNOWN)
