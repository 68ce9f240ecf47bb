"""Payments as metrics have them: those that ended, by how; those that are open, by channel.

Not tested here: when open ones are read (tests/unit/test_open_payments.py).
"""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined, Succeeded
from gateway.storage.reading import open_payments as reading
from gateway.storage.reading.open_payments import open_payments
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import MERCHANT_ID, NOW, catalogue, channel, rule

CATALOGUE = catalogue((channel("up"),), (rule("up", 10, single_limit=5000),))


@pytest.fixture
def process(engine: AsyncEngine) -> Process:
    return Process(engine, new_keys(), CATALOGUE)


def ended(channel: str, status: str, failure_code: str = "") -> float:
    merchant = CATALOGUE.code_of(MERCHANT_ID)
    labels = {"merchant": merchant, "channel": channel, "scene": "withhold"}
    labels |= {"status": status, "failure_code": failure_code}
    return REGISTRY.get_sample_value("sluice_payments_ended_total", labels) or 0.0


def difference(*labels: str) -> Callable[[], float]:
    before = ended(*labels)
    return lambda: ended(*labels) - before


async def test_each_payment_that_ends_is_counted_once_by_how_it_ended(process: Process) -> None:
    paid, frozen = difference("up", "succeeded"), difference("up", "failed", "card_frozen")
    for outcome in (Succeeded(1000), Declined(FailureCode.CARD_FROZEN, "41"), Succeeded(1000)):
        opened = await process.open_one()
        await process.heard(opened, outcome)
        await process.heard(opened, outcome)
    assert (paid(), frozen()) == (2, 1)


async def test_what_the_router_refuses_is_counted_without_a_channel(process: Process) -> None:
    refused = difference("", "failed", "single_limit_exceeded")
    await process.open_one(amount=5001)
    assert refused() == 1


async def test_open_payments_are_counted_by_channel_with_the_time_of_the_oldest(process: Process) -> None:
    for minutes in (5, 3, 1):
        opened = await process.open_one(now=NOW - timedelta(minutes=minutes))
    await process.heard(opened, Succeeded(1000))
    assert await open_payments(process.engine, MERCHANT_ID) == {"up": (2, NOW - timedelta(minutes=5))}
    assert await open_payments(process.engine, uuid4()) == {}


async def test_of_very_many_open_payments_a_bounded_number_is_read(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOOKED_AT_MAX", 2)
    for _ in range(3):
        await process.open_one()
    assert (await open_payments(process.engine, MERCHANT_ID))["up"].number == 2
