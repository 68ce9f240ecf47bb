"""Check files of a custody bank: fetched and confirmed over real sockets, read, and refused with their place."""

import json
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.lanmao.statement import LanmaoStatements
from adapters.lanmao.statement_files import read_recharges
from adapters.registry import build
from gateway.domain.statements import PSP_ZONE, LineKind, StatementLine, StatementRules
from gateway.ports.statements import StatementFile, StatementNotReadyError, StatementRefusedError, statements_of
from tests.adapters.lanmao_case import PSP, LanmaoCase, direct
from tests.adapters.statements_at_sandbox import DAY, an_order, at, at_sandbox, told

PLATFORM = "5000001104"
NEXT = DAY + timedelta(days=1)
NOW = datetime(2026, 11, 26, 9, 30, tzinfo=PSP_ZONE)
PAID = f"20261125093005|U1|YEEPAY|o-1|B001|RECHARGE|101.50|CNY|U1|{PLATFORM}|622202******1234|ICBK|SWIFT|101.50|\n"
ECHO = {"user_no": "U1", "company": "YEEPAY", "way": "SWIFT", "bankcode": "ICBK", "phone": ""}


def name_of(kind: str, platform: str = PLATFORM, day: str = "20261125") -> str:
    return f"{day}_{platform}_{kind}.txt"


def zipped(folder: Path, recharges: str | None = PAID, **others: str) -> StatementFile:
    path = folder / "given.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if recharges is not None:
            archive.writestr(name_of("RECHARGE"), recharges)
        for name, text in others.items():
            archive.writestr(name, text)
    return StatementFile("check.zip", path)


def read(*files: StatementFile, day: date = DAY) -> list[StatementLine]:
    return list(read_recharges(files, PLATFORM, day, time(0)))


# Over sockets


async def test_a_day_is_fetched_read_and_confirmed_and_confirming_again_is_fine(keys: Path, tmp_path: Path) -> None:
    orders = [
        an_order("o-1", "recharge", 10_150, at(9), echo=ECHO),
        an_order("o-2", "withhold", 29, at(10), echo={**ECHO, "way": "PROXY"}),
        an_order("o-3", "recharge", 5, at(11), "failed", echo=ECHO),
        an_order("o-4", "recharge", 7, at(0, day=NEXT), echo=ECHO),
    ]
    async with at_sandbox("lanmao", keys, tmp_path / "data", orders) as bank:
        statements = bank.statements()
        files = await statements.fetch(DAY, tmp_path, bank.transport.download, NOW)
        assert told(statements.read(files, DAY)) == [
            ("payment", "o-1", 10_150, True, None),
            ("payment", "o-2", 29, True, None),
        ]
        assert told(statements.read([await bank.given(tmp_path)], DAY)) == told(statements.read(files, DAY))
        for _ in range(2):
            await statements.confirm(DAY, bank.transport.download, tmp_path, NOW)


async def test_a_day_without_orders_is_empty_and_is_confirmed_too(keys: Path, tmp_path: Path) -> None:
    async with at_sandbox("lanmao", keys, tmp_path / "data", []) as bank:
        statements = bank.statements()
        assert list(statements.read(await statements.fetch(DAY, tmp_path, bank.transport.download, NOW), DAY)) == []
        await statements.confirm(DAY, bank.transport.download, tmp_path, NOW)


async def test_a_file_that_is_not_there_yet_is_not_ready_and_one_that_was_cut_is_refused(
    keys: Path, tmp_path: Path
) -> None:
    async with at_sandbox(
        "lanmao", keys, tmp_path / "data", [an_order("o-1", "recharge", 1, at(9), echo=ECHO)]
    ) as bank:
        statements = bank.statements()
        await bank.fault("late_statement")
        with pytest.raises(StatementNotReadyError, match="100012 对账文件尚未生成"):
            await statements.fetch(DAY, tmp_path, bank.transport.download, NOW)
        await bank.fault("broken_statement")
        with pytest.raises(StatementRefusedError, match="is no whole zip"):
            list(statements.read(await statements.fetch(DAY, tmp_path, bank.transport.download, NOW), DAY))
        assert len(list(statements.read(await statements.fetch(DAY, tmp_path, bank.transport.download, NOW), DAY))) == 1


# Answers that are not to be believed


def at_bank() -> LanmaoStatements:
    key = PSP.public_key()
    return LanmaoStatements("https://bank.test", PLATFORM, lambda *_: {}, key, StatementRules())


class Answering:
    """A download that has one answer."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer

    async def __call__(self, request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        assert request.extensions["timeout"]["connect"] > 0
        assert len(self.answer.content) <= max_bytes
        to.write_bytes(self.answer.content)  # noqa: ASYNC240 -- a few bytes of a test
        return httpx.Response(self.answer.status_code, headers=self.answer.headers)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, content=b"<html>502</html>"),
        httpx.Response(200, content=b"<html>login</html>"),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=json.dumps({"code": "1"}).encode(), headers={"sign": "x"}),
    ],
)
async def test_an_answer_that_the_bank_did_not_sign_is_refused(tmp_path: Path, answer: httpx.Response) -> None:
    with pytest.raises(StatementRefusedError):
        await at_bank().fetch(DAY, tmp_path, Answering(answer), NOW)
    with pytest.raises(StatementRefusedError):
        await at_bank().confirm(DAY, Answering(answer), tmp_path, NOW)


async def test_a_confirmation_that_the_bank_does_not_take_is_asked_for_again(tmp_path: Path) -> None:
    refusal = direct({"code": "1", "status": "INIT", "errorCode": "100003", "errorMessage": "参数错误"})
    with pytest.raises(StatementNotReadyError, match="100003 参数错误"):
        await at_bank().confirm(DAY, Answering(refusal), tmp_path, NOW)
    again = direct({"code": "1", "status": "INIT", "errorCode": "100008", "errorMessage": "已确认"})
    await at_bank().confirm(DAY, Answering(again), tmp_path, NOW)


# The file


def test_a_recharge_is_a_payment_and_what_nobody_asked_for_is_not_read(tmp_path: Path) -> None:
    others = PAID.replace("SWIFT", "VIRTUAL_CARDS") + PAID.replace("SWIFT", "BACKROLL")
    file = zipped(tmp_path, PAID + others, **{name_of("WITHDRAW"): "not|read\n", name_of("USER"): ""})
    done = datetime(2026, 11, 25, 9, 30, 5, tzinfo=PSP_ZONE)
    assert read(file) == [StatementLine(1, LineKind.PAYMENT, "o-1", 10_150, transaction_no="B001", at=done)]


def test_the_files_may_be_given_without_their_zip(tmp_path: Path) -> None:
    given = []
    for kind, text in (("WITHDRAW", ""), ("RECHARGE", PAID)):
        (tmp_path / kind).write_text(text)
        given.append(StatementFile(name_of(kind), tmp_path / kind))
    assert len(read(*given)) == 1
    with pytest.raises(StatementRefusedError, match="holds no file of type RECHARGE"):
        read(given[0])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "holds no file of type RECHARGE"),
        ([name_of("WITHDRAW")], "holds no file of type RECHARGE"),
        ([name_of("RECHARGE", day="20261124")], "of another day than 2026-11-25"),
        ([name_of("RECHARGE", platform="5000001105")], "of another platform"),
        ([name_of("RECHARGE"), name_of("BONUS")], "of a type that is not known"),
        ([name_of("RECHARGE"), "readme.txt"], "whose name is not"),
        ([name_of("RECHARGE"), f"a/{name_of('RECHARGE')}"], "holds two files of type RECHARGE"),
        ([name_of("RECHARGE"), f"../{name_of('WITHDRAW')}"], "leads out of it"),
    ],
)
def test_a_zip_that_is_not_of_this_day_and_platform_is_refused(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(StatementRefusedError, match=said):
        read(zipped(tmp_path, None, **dict.fromkeys(names, PAID)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("|101.50|\n", "|101.50\n", "line 2: has 14 columns"),
        (f"|{PLATFORM}|", "|5000001105|", "line 2, column 10: is another platform's"),
        ("|CNY|", "|USD|", "line 2, column 8: is no amount of yuan"),
        ("|101.50|CNY", "|-101.50|CNY", "line 2, column 7: is below zero"),
        ("|101.50|CNY", "|101.5.0|CNY", "line 2, column 7: is no amount"),
        ("20261125093005", "20261126000000", "line 2, column 1: is not of 2026-11-25"),
        ("20261125093005", "2026-11-25", "line 2, column 1: is no time"),
        ("|o-1|", "||", "line 2, column 4: names no order"),
    ],
)
def test_a_line_that_is_not_what_it_must_be_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in PAID
    with pytest.raises(StatementRefusedError, match=f"RECHARGE.txt, {said}"):
        read(zipped(tmp_path, PAID + PAID.replace(old, new, 1)))


@given(amounts=st.lists(st.integers(0, 10**11), max_size=20))
def test_any_amount_is_read_to_the_fen(tmp_path_factory: pytest.TempPathFactory, amounts: list[int]) -> None:
    lines = "".join(PAID.replace("101.50|C", f"{amount // 100}.{amount % 100:02d}|C") for amount in amounts)
    assert [line.amount for line in read(zipped(tmp_path_factory.mktemp("zip"), lines))] == amounts


def test_without_the_accounts_word_no_check_file_is_read() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    assert statements_of(build(LanmaoCase().account(), never)) is None
