"""`send_before` of a withhold over HTTP, on books in memory.

Not tested here: what it does (tests/storage/test_line.py).
"""

from datetime import UTC, datetime

import pytest

from gateway.ports import SendBeforeError
from tests.api.client import Client
from tests.api.fakes import FakeGateway, order

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize("said", ["2026-03-05T12:00:00Z", "2026-03-05T20:00:00+08:00", "2026-03-05T12:00:00.000Z"])
async def test_a_withhold_says_before_when_it_is_to_be_sent(client: Client, gateway: FakeGateway, said: str) -> None:
    assert (await client.post("/v1/withholds", order(send_before=said))).status == 201
    assert gateway.books.orders[0].send_before == NOON


async def test_it_is_part_of_the_order_only_when_it_is_given_and_however_it_is_written(
    client: Client, gateway: FakeGateway
) -> None:
    said: list[dict[str, object]] = [
        {},
        {"send_before": None},
        {"send_before": "2026-03-05T12:00:00Z"},
        {"send_before": "2026-03-05T20:00:00+08:00"},
        {"send_before": "2026-03-05T12:00:01Z"},
    ]
    for number, given in enumerate(said):
        await client.post("/v1/withholds", order(merchant_order_no=f"A-{number}", **given))
    bodies = [taken.body.replace(f"A-{n}".encode(), b"") for n, taken in enumerate(gateway.books.orders)]
    assert b"send_before" not in bodies[0]
    assert bodies[0] == bodies[1]
    assert bodies[2] == bodies[3]
    assert len({bodies[0], bodies[2], bodies[4]}) == 3


@pytest.mark.parametrize("said", ["2026-03-05T12:00:00", "2026-03-05", "tomorrow", 1, True, "", "2026-02-30T12:00:00Z"])
async def test_what_is_no_time_with_its_zone_is_refused(client: Client, said: object) -> None:
    got = await client.post("/v1/withholds", order(send_before=said))
    assert got.status == 422
    assert [(error["field"], error["code"]) for error in got.problem["errors"]] == [("send_before", "time")]


async def test_a_time_that_is_past_or_of_another_day_is_refused_and_the_answer_says_until_when(
    client: Client, gateway: FakeGateway
) -> None:
    def not_then(_: object) -> None:
        raise SendBeforeError(NOON)

    gateway.books.becomes = not_then  # type: ignore[assignment]
    got = await client.post("/v1/withholds", order(send_before="2026-03-05T11:00:00Z"))
    assert got.status == 422
    (error,) = got.problem["errors"]
    assert (error["field"], error["code"]) == ("send_before", "out_of_range")
    assert "2026-03-05T12:00:00.000Z" in error["message"]


async def test_a_charge_is_sent_at_once_or_not_at_all(client: Client) -> None:
    asked = order(scene="quick_charge", send_before="2026-03-05T12:00:00Z")
    got = await client.post("/v1/charges", asked)
    assert got.status == 422
    assert [(error["field"], error["code"]) for error in got.problem["errors"]] == [("send_before", "unknown_field")]
