"""The statements of CPCN's and Baofoo's mocks as they stand on the wire, byte for byte, and the requests they refuse.

Does not test which rows a day has (`test_statements`), nor that the real ones look so: that is what the protocol notes
say.
"""

import base64
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from tests.sandbox.baofoo_merchant import BaofooMerchant
from tests.sandbox.merchants import Sandbox
from tests.sandbox.test_cpcn import CpcnMerchant

DAY = "2026-03-02"


async def told(sandbox: Sandbox, method: str, call: str, body: Any = None) -> Any:
    status, answer = await sandbox.control(method, call, body)
    assert status in (200, 201), answer
    return answer


async def a_day(sandbox: Sandbox, provider: str) -> None:
    """A payment, a refund and a payout that nobody asked for, with fees."""
    await told(
        sandbox, "POST", f"{provider}/fees", {"payment": {"fixed": 25}, "refund": {"fixed": 5, "gives_back": True}}
    )
    rows = [("payment", 12345, "09:00:00"), ("refund", 29, "10:00:00"), ("payout", 500000, "11:00:00")]
    body = [
        {"difference": "long", "kind": kind, "amount": amount, "at": f"{DAY}T{at}+08:00", "order_no": f"{kind}0001"}
        for kind, amount, at in rows
    ]
    await told(sandbox, "POST", f"{provider}/statement_differences", body)


# CPCN


@pytest.fixture
def cpcn(sandbox: Sandbox, keys: Path, session: aiohttp.ClientSession) -> CpcnMerchant:
    return CpcnMerchant(sandbox, keys, session)


async def asked(merchant: CpcnMerchant, tx: str, **body: str) -> Any:
    """The whole answer as XML, verified."""
    text = merchant.text(tx, {"Date": "20260302", **body})
    raw = await merchant.post({"message": base64.b64encode(text).decode(), "signature": merchant.signature(text)})
    message, _, signature = raw.decode().partition(",")
    plain = base64.b64decode(message).strip()
    merchant.psp_key.verify(bytes.fromhex(signature), plain, padding.PKCS1v15(), hashes.SHA1())
    return etree.fromstring(plain)


def transactions(root: Any) -> list[tuple[str, ...]]:
    names = ("TxType", "TxSn", "TxAmount", "InstitutionFee", "InstitutionRefundFee", "BankNotificationTime")
    return [tuple(tx.findtext(name) or "" for name in names) for tx in root.iter("Tx")]


CPCN_DAY = [
    ("2511", "payment0001", "12345", "25", "", "20260302090000"),
    ("2521", "refund0001", "29", "0", "5", "20260302100000"),
    ("1341", "payout0001", "500000", "0", "", "20260302110000"),
]


async def test_cpcn_tells_a_day_by_pages_each_with_the_total(sandbox: Sandbox, cpcn: CpcnMerchant) -> None:
    await a_day(sandbox, "cpcn")
    first, second, third = [await asked(cpcn, "1811", PageNO=page, CountPerPage="2") for page in "123"]
    assert transactions(first) + transactions(second) == CPCN_DAY
    assert transactions(third) == []
    assert {page.findtext("Body/TotalCount") for page in (first, second, third)} == {"3"}
    assert {page.findtext("Head/Code") for page in (first, second, third)} == {"2000"}


async def test_cpcn_tells_a_whole_day_compressed_in_lines_whose_columns_are_the_elements(
    sandbox: Sandbox, cpcn: CpcnMerchant
) -> None:
    await a_day(sandbox, "cpcn")
    whole = await asked(cpcn, "1810")
    lines = gzip.decompress(base64.b64decode(whole.findtext("Body/GzipData"))).decode().split("\r\n")
    page = await asked(cpcn, "1811", PageNO="1", CountPerPage="10000")
    assert lines == [*(",".join(leaf.text or "" for leaf in tx) for tx in page.iter("Tx")), ""]
    async with sandbox.session.get(f"{sandbox.address}/_sandbox/cpcn/statement?day={DAY}") as answer:
        assert transactions(etree.fromstring(await answer.read())) == CPCN_DAY


@pytest.mark.parametrize(
    "body",
    [
        {"Date": "2026-03-02", "PageNO": "1", "CountPerPage": "10"},
        {"Date": "20260230", "PageNO": "1", "CountPerPage": "10"},
        {"PageNO": "0", "CountPerPage": "10"},
        {"PageNO": "1", "CountPerPage": "10001"},
        {"PageNO": "x", "CountPerPage": "10"},
        {"CountPerPage": "10"},
    ],
)
async def test_cpcn_refuses_a_page_that_there_cannot_be(cpcn: CpcnMerchant, body: dict[str, str]) -> None:
    assert (await asked(cpcn, "1811", **body)).findtext("Head/Code") == "2016"


async def test_cpcn_says_in_the_head_that_a_day_is_not_there_yet(sandbox: Sandbox, cpcn: CpcnMerchant) -> None:
    await told(sandbox, "POST", "cpcn/faults", {"fault": "late_statement", "times": 1})
    late = await asked(cpcn, "1811", PageNO="1", CountPerPage="10")
    assert (late.findtext("Head/Code"), late.find("Body")) == ("240099", None)
    assert (await asked(cpcn, "1811", PageNO="1", CountPerPage="10")).findtext("Body/TotalCount") == "0"


# Baofoo


@pytest.fixture
def baofoo(sandbox: Sandbox, keys: Path) -> BaofooMerchant:
    return BaofooMerchant(sandbox, keys)


async def loaded(merchant: BaofooMerchant, **changed: str) -> tuple[str, bytes]:
    """resp_code, and the file."""
    form = {
        "version": "4.0.0.1", "member_id": merchant.account["member_id"], "file_type": "fi", "client_ip": "127.0.0.1",
        "settle_date": DAY, **changed,
    }  # fmt: skip
    address = f"{merchant.sandbox.address}/baofoo/boas/api/fileLoadRequest"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with merchant.session.post(address, data=urlencode(form), headers=headers) as answer:
        assert answer.status == 200
        code, _, body = (await answer.text()).split("&", 2)
        return code.removeprefix("resp_code="), base64.b64decode(body.removeprefix("resp_body="))


def unpacked(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_baofoo_gives_collections_and_payouts_of_a_day_in_a_zip_each(
    sandbox: Sandbox, baofoo: BaofooMerchant
) -> None:
    await a_day(sandbox, "baofoo")
    member, terminal = baofoo.account["member_id"], baofoo.account["terminal_id"]
    code, fi = await loaded(baofoo)
    [(name, text)] = unpacked(fi).items()
    assert (code, name) == ("0000", f"{member}_20260302_fi.txt")
    payment, refund = (line.split("|") for line in text.splitlines())
    assert payment[:4] + payment[5:10] == [member, terminal, "0431", "00", "payment0001", DAY, "1", "123.45", "0.25"]
    assert refund[:4] + refund[5:10] == [member, terminal, "0331", "09", "refund0001", DAY, "1", "0.29", "-0.05"]
    [(name, text)] = unpacked((await loaded(baofoo, file_type="fo"))[1]).items()
    payout = text.removesuffix("\n").split("|")
    assert (len(payout), payout[5], payout[7:10]) == (14, "payout0001", [DAY, "1", "5000.00"])
    assert (await loaded(baofoo))[1] == fi, "asked twice, it is the same"
    async with sandbox.session.get(f"{sandbox.address}/_sandbox/baofoo/statement?day={DAY}") as answer:
        given = unpacked(await answer.read())
    assert given == {"fi_20260302.txt": unpacked(fi)[f"{member}_20260302_fi.txt"], "fo_20260302.txt": text}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"version": "4.0.0.0"}, "0001"),
        ({"file_type": "fx"}, "0001"),
        ({"client_ip": ""}, "0001"),
        ({"settle_date": "02.03.2026"}, "0001"),
        ({"member_id": "1"}, "0202"),
    ],
)
async def test_baofoo_refuses_a_request_that_is_not_whole(
    baofoo: BaofooMerchant, changed: dict[str, str], code: str
) -> None:
    assert await loaded(baofoo, **changed) == (code, b"")


async def test_baofoo_says_that_a_file_is_not_there_yet(sandbox: Sandbox, baofoo: BaofooMerchant) -> None:
    await told(sandbox, "POST", "baofoo/faults", {"fault": "late_statement", "times": 1})
    assert await loaded(baofoo) == ("1001", b"")
    code, file = await loaded(baofoo)
    assert (code, list(unpacked(file).values())) == ("0000", [""])
