"""An operator reconciles by HTTP: fetches at one company, uploads another's file, resolves, exports and closes; and
the operations' own endpoint is told.

What was paid is moved to a day that is over. The first day that is fetched and the first file that is given are worked
on in a process of their own, as all are outside of tests; the rest here, since to start one costs seconds. Not here:
every refusal (tests/api/test_reconciliation.py), the classes (tests/storage/test_comparing.py).
"""

import csv
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from gateway.domain.catalogue_content import EndpointContent
from gateway.domain.reconciled import ReconciledDay
from gateway.domain.statements import PSP_ZONE
from gateway.run import wiring
from gateway.run.apart import ReconciledApart
from gateway.run.demo.fees import fees_said
from gateway.run.wiring import System
from gateway.settings import SAMPLE_ADMIN_TOKEN, Settings
from tests.e2e.business import Answer, Shown
from tests.e2e.conftest import NewDatabase
from tests.e2e.waiting import until
from tests.e2e.world import World, new_world

DAY: Final = (datetime.now(PSP_ZONE) - timedelta(days=5)).date()
NOON: Final = datetime.combine(DAY, time(12), PSP_ZONE)
BASE: Final = "/merchants/demo"
BY: Final = {"by": "li", "note": "a test of theirs"}
FOUND: Final = "reconciliation.difference_found"
MOVE: Final = """
UPDATE intents SET recorded_at = $2::timestamptz - interval '1 second', channel_finished_at = $2, ended_at = $2
WHERE number = $1
"""


class FirstApart:
    """The first run of each kind that a person asks for has a process of its own."""

    system: System | None = None

    def __init__(self, settings: Settings) -> None:
        self._apart, self._kinds = ReconciledApart(settings), {True, False}

    async def __call__(self, *day: Any, **more: Any) -> ReconciledDay:
        has_files = len(day) > 4 and day[4] is not None
        if day[3] == BY["by"] and has_files in self._kinds:
            self._kinds.remove(has_files)
            return await self._apart(*day, **more)
        assert self.system is not None
        return await self.system.reconciler.run(*day, **more)


@pytest.fixture(scope="module")
async def world(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[World]:
    """Two payments of a day that is over, and one more at Allinpay that nobody here knows."""
    # The process that loads a day may take long to start where others are busy: it is waited for.
    async with AsyncExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(wiring, "ReconciledApart", FirstApart)
        of_world = new_world(await new_database(), psp_keys, bounds={"answer_within_s": 120.0})
        world = await stack.enter_async_context(of_world)
        FirstApart.system = world.system
        for provider, fees in fees_said(world.merchants["demo"]).items():
            await world.control("POST", f"{provider}/fees", fees)
        for _ in range(2):
            payment = await world.app.pay_to_the_end(world.order(world.cheap()))
            assert (payment["status"], payment["channel"]) == ("succeeded", "allinpay")
            number = payment["channel_order_no"]
            await world.sql(MOVE, number, NOON)
            await world.control("POST", f"allinpay/orders/{number}/finished_at", {"at": NOON.isoformat()})
        demo = world.merchants["demo"]
        url, secret = demo.endpoints[0].url, world.receiver.secret
        ops = EndpointContent("ops", None, url, ("reconciliation.finished", FOUND), True, (secret,))
        changed = replace(demo, endpoints=(*demo.endpoints, ops))
        await world.apply(*(changed if each is demo else each for each in world.merchants.values()))
        yield world
        assert world.system is not None
        assert await world.system.doctor() == []


def one(account: str, what: str = "") -> str:
    return f"{BASE}/reconciliation/days/{account}/{DAY}{what}"


async def uploads(world: World, account: str, content: bytes, **asked: str) -> Answer:
    query = "&".join(f"{name}={value}" for name, value in {"by": "li", **asked}.items())
    headers = {"Authorization": f"Bearer {SAMPLE_ADMIN_TOKEN}", "Content-Type": "application/octet-stream"}
    url = f"{world.gateway}/v1/admin{one(account, '/statement')}?{query}"
    answer = await world.call("PUT", url, content, headers)
    return await ended(world, account) if answer.status == 202 else answer


async def ended(world: World, account: str) -> Answer:
    """The day, once its run has ended."""

    async def look() -> Answer | None:
        answer = await world.admin("GET", one(account))
        return answer if answer.status == 200 and not answer.body["running"] else None

    return await until(look, f"{account}'s day")


async def file_of(world: World, provider: str) -> bytes:
    async with world.session.get(f"{world.sandbox}/_sandbox/{provider}/statement?day={DAY}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def told(world: World, account: str, count: int) -> list[Shown]:
    """The first events of an account's day that arrived, by their numbers. Yesterday's may come meanwhile."""

    async def look() -> list[Shown] | None:
        bodies = [orjson.loads(each.body) for each in world.receiver.arrived]
        of_days = [each for each in bodies if each["type"].startswith("reconciliation.")]
        its = {each["sequence"]: each for each in of_days if _is_of(each["data"], account)}
        return [its[n] for n in sorted(its)][:count] if len(its) >= count else None

    return await until(look, f"{count} events of {account}")


def _is_of(data: Shown, account: str) -> bool:
    return (data.get("account"), data.get("day")) == (account, DAY.isoformat())


async def differences(world: World, asked: str = "") -> list[Shown]:
    answer = await world.admin("GET", f"{BASE}/differences?day={DAY}{asked}")
    assert answer.status == 200, answer.raw
    return list(answer.body["data"])


async def test_a_day_is_fetched_its_differences_resolved_exported_and_closed(world: World) -> None:
    planted: Any = [{"difference": "long", "at": NOON.isoformat(), "amount": 777}]
    await world.control("POST", "allinpay/statement_differences", planted)
    answer = await world.admin("POST", one("allinpay_main", "/run"), {"by": "li"})
    day = (await ended(world, "allinpay_main")).body if answer.status == 202 else answer.body
    assert {each["class"]: each["theirs"] for each in day["classes"]} == {"matched": 2, "long": 1}, answer.raw
    assert (day["balanced"], day["open"], day["in_all"]["apart"], day["ran_by"]) == (True, 1, 777, "li")
    found, finished = await told(world, "allinpay_main", 2)
    assert (found["type"], found["data"]["class"]) == (FOUND, "long")
    assert (finished["type"], finished["sequence"]) == ("reconciliation.finished", found["sequence"] + 1)
    assert finished["data"].items() >= {**day, "so_far": False, "differences_found": 1, "differences_told": 1}.items()
    refused = await world.admin("POST", one("allinpay_main", "/close"), {"by": "li"})
    assert (refused.status, refused.body["code"]) == (409, "day_not_closable")

    (long,) = await differences(world, "&class=long&state=open")
    assert (long["theirs"]["amount"], long["ours"], long["remedy"]) == (777, None, "find_origin")
    assert found["data"] == long, "it is told as it is listed"
    bulk = {"account": "allinpay_main", "day": str(DAY), "class": "long", **BY}
    assert (await world.admin("POST", f"{BASE}/differences/resolve", bulk)).body["count"] == 1
    again = await world.admin("POST", f"{BASE}/differences/reopen", {"ids": [long["id"]], **BY})
    assert again.body["changed"] == [long["id"]]
    resolved = await world.admin("POST", f"{BASE}/differences/resolve", {"ids": [long["id"]], **BY})
    assert resolved.body["changed"] == [long["id"]]
    history = (await differences(world, "&state=resolved&class=long"))[0]["history"]
    assert [(each["did"], each["by"]) for each in history] == [
        ("resolved", "li"),
        ("reopened", "li"),
        ("resolved", "li"),
    ]

    exported = await world.admin("GET", f"{BASE}/differences.csv?class=long")
    (row,) = csv.DictReader(io.StringIO(exported.raw.decode("utf-8-sig")))
    assert (row["id"], row["their_amount_yuan"], row["our_object"]) == (long["id"], "7.77", "")
    assert row["their_done_at"].startswith(f"{DAY} 12:00"), row

    closed = await world.admin("POST", one("allinpay_main", "/close"), {"by": "wu"})
    assert (closed.status, closed.body["closed_by"]) == (200, "wu"), closed.raw
    locked = await world.admin("POST", f"{BASE}/differences/reopen", {"ids": [long["id"]], **BY})
    assert [each["reason"] for each in locked.body["unchanged"]] == ["day_closed"]
    await world.control("DELETE", "allinpay/statement_differences")
    other = await world.admin("POST", one("allinpay_main", "/run"), {"by": "li", "replace_note": "their mail"})
    assert (other.status, other.body["code"]) == (409, "day_closed"), other.raw


async def test_a_file_is_uploaded_refused_where_it_is_broken_and_replaced_by_a_word(world: World) -> None:
    content = await file_of(world, "lianlian")
    broken = await uploads(world, "lianlian_main", content[:-40], filename="broken.zip")
    assert (broken.status, broken.body["code"]) == (422, "statement_refused"), broken.raw
    assert broken.body["reason"]
    assert (await world.admin("GET", one("lianlian_main"))).status == 404
    for _ in range(2):
        loaded = await uploads(world, "lianlian_main", content, filename="day.zip")
        assert loaded.status == 200, loaded.raw
        assert loaded.body["statement_version"] == 1
    await world.control("POST", "lianlian/statement_differences",
                        [{"difference": "long", "at": NOON.isoformat(), "amount": 5}])  # fmt: skip
    corrected = await file_of(world, "lianlian")
    other = await uploads(world, "lianlian_main", corrected, filename="day2.zip")
    assert (other.status, other.body["code"], other.body["version"]) == (409, "other_statement", 1), other.raw
    replaced = await uploads(world, "lianlian_main", corrected, filename="day2.zip", replace_note="their+mail")
    assert (replaced.status, replaced.body["open"]) == (200, 1), replaced.raw
    versions = [(each["type"], each["data"].get("statement_version")) for each in await told(world, "lianlian_main", 3)]
    assert versions == [("reconciliation.finished", 1), (FOUND, None), ("reconciliation.finished", 2)]
    day = (await world.admin("GET", one("lianlian_main"))).body
    kept = [(each["version"], each["files"], each["note"]) for each in day["statements"]]
    assert kept == [(2, ["day2.zip"], "their mail"), (1, ["day.zip"], None)]
