"""The YeePay mock by itself: what it refuses, how long an order lives, and what outlives a restart.

The merchant signs by the code of the contract's case. Not tested here: paying, notices and faults
(tests/adapters/test_yeepay_on_sandbox.py).
"""

import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from sandbox.yeepay.checks import USUAL_LIFE_S, life_s
from tests.adapters.yeepay_case import ORDERS, signatures
from tests.browsing import Browser, Page
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import Sandbox

DAY_S = 86_400
ORDER = {
    "p0_Cmd": "Buy",
    "p2_Order": "order0001",
    "p3_Amt": "12.30",
    "p4_Cur": "CNY",
    "p8_Url": "https://pay.example.com/return/m1.acc_1",
    "pm_Period": "15",
    "pn_Unit": "minute",
    "pr_NeedResponse": "1",
}


class Merchant:
    """The merchant whose number and key the sandbox wrote."""

    def __init__(self, sandbox: Sandbox, keys: Path) -> None:
        account = json.loads((keys / "yeepay" / "account.json").read_text())
        self.base, self.session = f"{sandbox.address}/yeepay/app-merchant-proxy", sandbox.session
        self.mer_id, self.key = account["mer_id"], account["key"]

    def signed(self, fields: Mapping[str, str]) -> dict[str, str]:
        names = ORDERS[fields["p0_Cmd"]].split()
        said = {"p1_MerId": self.mer_id, **fields}
        return {**said, **signatures((said.get(name, "") for name in names), self.key)}

    async def buys(self, **changed: str) -> Page:
        fields = self.signed({**ORDER, **changed})
        return await Browser(self.session).submit(f"{self.base}/node", fields, charset="gbk")

    async def asks(self, number: str = "order0001") -> dict[str, str]:
        said = {"p0_Cmd": "QueryOrdDetail", "p2_Order": number, "pv_Ver": "3.0", "p3_ServiceType": "2"}
        async with self.session.get(f"{self.base}/command", params=self.signed(said)) as answer:
            lines = (await answer.text(encoding="gbk")).splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
async def merchant(sandbox: Sandbox, keys: Path) -> Merchant:
    return Merchant(sandbox, keys)


async def test_an_order_without_a_bank_is_paid_at_any_of_them(merchant: Merchant) -> None:
    assert "Any bank" in (await merchant.buys()).text
    assert "CMBC" in (await merchant.buys(p2_Order="another1", pd_FrpId="CMBC-NET-B2C")).text


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"p1_MerId": "1"}, "No such merchant"),
        ({"p3_Amt": "12.3"}, "Wrong amount"),
        ({"p3_Amt": "0.00"}, "Wrong amount"),
        ({"p3_Amt": "1,234.00"}, "Wrong amount"),
        ({"p4_Cur": "USD"}, "Wrong amount"),
        ({"p2_Order": "x" * 51}, "Wrong number"),
        ({"p8_Url": ""}, "Wrong number or address"),
        ({"p8_Url": "https://x.example.com/".ljust(201, "x")}, "Too long"),
        ({"pb_ServerNotifyUrl": "https://x.example.com/".ljust(51, "x")}, "Too long"),
        ({"p5_Pid": "一二三四五六七八九十末"}, "Too long"),
        ({"pd_FrpId": "ICBC"}, "No such bank"),
        ({"pd_FrpId": "NOBANK-NET-B2C"}, "No such bank"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
)
async def test_what_yeepay_would_not_take_opens_no_page(merchant: Merchant, changed: dict[str, str], why: str) -> None:
    page = await merchant.buys(**changed)
    assert (why in page.text, page.buttons()) == (True, [])
    assert (await merchant.asks())["r1_Code"] == "50"


@pytest.mark.parametrize(
    ("period", "unit", "seconds"),
    [
        ("900", "second", 900),
        ("15", "minute", 900),
        ("2", "hour", 7200),
        ("3", "day", 3 * DAY_S),
        ("", "", USUAL_LIFE_S),
        ("15", "minutes", USUAL_LIFE_S),
        ("0", "day", USUAL_LIFE_S),
        ("-1", "day", USUAL_LIFE_S),
        ("1", "year", 180 * DAY_S),
    ],
)
def test_a_wrong_unit_or_period_voids_both(period: str, unit: str, seconds: int) -> None:
    assert life_s({"pm_Period": period, "pn_Unit": unit}) == seconds


async def test_an_order_and_its_expiry_outlive_a_restart_and_its_page_does_not(
    start: Start, keys: Path, tmp_path: Path
) -> None:
    first = await start(data_dir=tmp_path)
    page = await Merchant(first, keys).buys(p5_Pid="三月还款")
    await first.stop()
    merchant = Merchant(await start(data_dir=tmp_path), keys)
    known = await merchant.asks()
    assert (known["r1_Code"], known["rb_PayStatus"], known["r3_Amt"]) == ("1", "INIT", "12.30")
    again = await merchant.buys(p5_Pid="三月还款")
    assert (again.url.rsplit("/", 1)[1] != page.url.rsplit("/", 1)[1], "pay" in again.buttons()) == (True, True)


async def test_a_question_with_a_wrong_signature_is_not_answered(merchant: Merchant) -> None:
    merchant.key = "another key"
    assert "hmac" not in await merchant.asks()


async def test_phones_have_nothing_to_do_with_it(sandbox: Sandbox) -> None:
    for fault in ("sms_needed", "lose_sms", "expire_code"):
        url = f"{sandbox.address}/_sandbox/yeepay/faults"
        async with aiohttp.ClientSession() as session, session.post(url, json={"fault": fault}) as answer:
            assert answer.status == 422
