"""What a provider takes for the rows of its statements, as the control API says it."""

from typing import Any

import pytest

from sandbox.books import Order
from sandbox.fees import FeeRefusedError, Fees
from tests.sandbox.merchants import Sandbox
from tests.sandbox.test_statements import DAY, collected, done_at, paid_out, rows_of

NOON = f"{DAY}T12:00:00+08:00"


def order(amount: int = 1000, *, kind: Any = "withhold", card: str = "622202******1234", **echo: str) -> Order:
    return Order("S1", kind, amount, "CNY", card, 0.0, 0.0, 0.0, "", "", echo=echo)


@pytest.mark.parametrize(
    ("said", "amount", "fee"),
    [
        ({}, 1000, 0),
        ({"fixed": 100}, 1, 100),
        ({"rate_ppm": 2_000, "minimum": 20}, 9_999, 20),
        ({"rate_ppm": 2_000, "minimum": 20}, 10_249, 20),
        ({"rate_ppm": 2_000, "minimum": 20}, 10_250, 21),
        ({"rate_ppm": 500, "minimum": 100, "maximum": 1_000}, 5_000_000, 1_000),
        ({"rate_ppm": 2_000, "fixed": 5}, 1_000, 7),
        ({"rate_ppm": 1, "maximum": None}, 499_999, 0),
        ({"rate_ppm": 1}, 500_000, 1),
        ({"tiers": [{"up_to": 1_000_000, "fixed": 100}, {"fixed": 200}]}, 1_000_000, 100),
        ({"tiers": [{"up_to": 1_000_000, "fixed": 100}, {"fixed": 200}]}, 1_000_001, 200),
        ({"tiers": [{"up_to": 10, "fixed": 1}, {"up_to": 20, "rate_ppm": 500_000}]}, 31, 16),
        ({"fixed": 30, "gives_back": True}, 1000, -30),
        ({"rate_ppm": 1_500, "gives_back": True}, 1_000, -2),
    ],
)
def test_a_fee_is_rounded_half_up_within_its_bounds(said: dict[str, Any], amount: int, fee: int) -> None:
    fees = Fees()
    fees.say({"payment": said})
    assert fees.of("payment", order(amount)) == fee
    assert fees.of("refund", order(amount)) == 0


def test_the_first_schedule_that_fits_an_order_counts() -> None:
    fees = Fees()
    fees.say(
        {
            "payment": [
                {"fixed": 1, "order_nos": ["S9"]},
                {"fixed": 2, "kinds": ["consume", "netbank"]},
                {"fixed": 3, "cards": ["622848", "621700"]},
                {"fixed": 4, "echo": {"company": "FUIOU"}},
                {"fixed": 5},
            ]
        }
    )
    assert fees.of("payment", order(kind="netbank", card="622848******1234")) == 2
    assert fees.of("payment", order(card="622848******1234", company="FUIOU")) == 3
    assert fees.of("payment", order(company="FUIOU")) == 4
    assert fees.of("payment", order(company="YEEPAY")) == 5


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"fee": {"fixed": 1}},
        {"payment": 5},
        {"payment": {"rate": "0.002"}},
        {"payment": {"rate_ppm": 1_000_001}},
        {"payment": {"rate_ppm": 0.5}},
        {"payment": {"fixed": -1}},
        {"payment": {"fixed": True}},
        {"payment": {"minimum": 30, "maximum": 20}},
        {"payment": {"fixed": 1, "tiers": [{"fixed": 1}]}},
        {"payment": {"tiers": []}},
        {"payment": {"tiers": [{"fixed": 1}, {"fixed": 2}]}},
        {"payment": {"tiers": [{"up_to": 20}, {"up_to": 20}]}},
        {"payment": {"fixed": 1, "kinds": "withhold"}},
        {"payment": {"fixed": 1, "echo": {"company": 1}}},
        {"payment": {"fixed": 1, "gives_back": 1}},
    ],
)
def test_what_is_no_fee_is_refused_and_changes_nothing(said: dict[str, Any]) -> None:
    fees = Fees()
    fees.say({"payment": {"fixed": 7}})
    with pytest.raises(FeeRefusedError):
        fees.say(said)
    assert fees.of("payment", order()) == 7


async def test_a_payout_to_a_firm_may_cost_more(sandbox: Sandbox) -> None:
    said = {"payout": [{"fixed": 300, "echo": {"ACCOUNT_PROP": "1"}}, {"fixed": 100}]}
    assert (await sandbox.control("POST", "allinpay/fees", said))[0] == 200
    merchant, firm = sandbox.allinpay, sandbox.allinpay.number()
    package = merchant.collecting(firm).replace(b"100011", b"100014").replace(b"10600", b"00600")
    of_firms = b"<PROVINCE>P</PROVINCE><CITY>C</CITY><BANK_NAME>B</BANK_NAME><UNION_BANK>102100099996</UNION_BANK>"
    to_a_firm = b"<ACCOUNT_PROP>1</ACCOUNT_PROP>" + of_firms
    await merchant.send(package.replace(b"<ACCOUNT_PROP>0</ACCOUNT_PROP>", to_a_firm))
    await done_at(sandbox, firm, NOON)
    person = await paid_out(sandbox, NOON)
    assert {row["number"]: row["fee"] for row in await rows_of(sandbox)} == {firm: 300, person: 100}


async def test_fees_are_said_for_each_kind_shown_and_taken_away(sandbox: Sandbox) -> None:
    await collected(sandbox, NOON, 10_250)
    await paid_out(sandbox, NOON)
    said = {"payment": {"rate_ppm": 2_000, "minimum": 20}, "payout": [{"fixed": 100}]}
    assert await sandbox.control("POST", "allinpay/fees", {"payment": said["payment"]}) == (
        200,
        {"payment": said["payment"]},
    )
    assert (await sandbox.control("POST", "allinpay/fees", {"payout": said["payout"]}))[1] == said
    assert {row["kind"]: row["fee"] for row in await rows_of(sandbox)} == {"payment": 21, "payout": 100}
    assert (await sandbox.control("POST", "allinpay/fees", {"payout": {"fixed": -1}}))[0] == 422
    assert (await sandbox.control("GET", "allinpay/fees"))[1] == said
    assert (await sandbox.control("DELETE", "allinpay/fees"))[0] == 204
    assert {row["fee"] for row in await rows_of(sandbox)} == {0}
