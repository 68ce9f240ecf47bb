"""Baofoo's statements: what is read of `fi` and `fo`, what is refused, and how the answer becomes a file.

Not tested here: the same over a socket (`test_cpcn_and_baofoo_statements_on_sandbox`), and amounts in general
(`test_statement_files`).
"""

import base64
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import statement_files
from adapters.account import AccountError
from adapters.baofoo import statement_answer
from adapters.baofoo.statement import BaofooStatements
from adapters.statement_files import Place
from gateway.domain.statements import LineKind, StatementLine
from gateway.ports.statements import (
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
    statements_of,
)
from tests.adapters.baofoo_case import BaofooCase
from tests.adapters.case import Wire
from tests.examples import examples

CASE = BaofooCase()
DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)
NUMBER = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"
MEMBER, TERMINAL = "100025773", "200001173"
FI = (MEMBER, TERMINAL, "0431", "00", "20260302001", NUMBER, "2026-03-02", "1", "123.45", "0.25", "T20260302001")
FO = (
    MEMBER, TERMINAL, "0432", "00", "B1", NUMBER, "batch-1", "2026-03-02", "1", "50.00", "", "", "", "P20260302001",
)  # fmt: skip


def fi(*changes: tuple[int, str]) -> str:
    return "|".join(_with(FI, dict(changes)))


def fo(*changes: tuple[int, str]) -> str:
    return "|".join(_with(FO, dict(changes)))


def _with(cells: Sequence[str], changes: Mapping[int, str]) -> list[str]:
    return [changes.get(column, cell) for column, cell in enumerate(cells)]


def zipped(text: str | bytes, name: str = "day.txt") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return packed.getvalue()


def of(settings: Mapping[str, object] | None = None) -> BaofooStatements:
    account = CASE.account()
    told = {**account.settings, "client_ip": "192.0.2.7", **(settings or {})}
    found = statements_of(
        CASE.build(replace(account, settings={k: v for k, v in told.items() if v is not None}), Wire(CASE.processing))
    )
    assert isinstance(found, BaofooStatements)
    return found


def read(tmp_path: Path, files: Mapping[str, bytes], **settings: object) -> list[StatementLine]:
    given_files = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        given_files.append(StatementFile(name, tmp_path / name))
    return list(of(settings).read(given_files, DAY))


def both(collected: Sequence[str] = (), paid_out: Sequence[str] = ()) -> dict[str, bytes]:
    return {"fi.zip": zipped("\n".join(collected)), "fo.zip": zipped("\n".join(paid_out))}


def refused(tmp_path: Path, files: Mapping[str, bytes], **settings: object) -> str:
    with pytest.raises(StatementRefusedError) as refusal:
        read(tmp_path, files, **settings)
    return str(refusal.value)


# What a line is


def test_a_line_of_each_file_in_the_normal_form(tmp_path: Path) -> None:
    assert read(tmp_path, both([fi()], [fo()])) == [
        StatementLine(1, LineKind.PAYMENT, NUMBER, 12_345, True, 25, "20260302001"),
        StatementLine(1, LineKind.PAYOUT, NUMBER, 5_000, True, None, "P20260302001"),
    ]


def test_a_payment_that_is_not_success_was_not_done(tmp_path: Path) -> None:
    lines = read(tmp_path, both([fi((7, status)) for status in ("1", "0", "2", "-1", "9")]))
    assert [line.paid for line in lines] == [True, False, False, False, False]


@pytest.mark.parametrize("sub_type", ["01", "02", "31"])
def test_a_refund_names_its_payment_as_the_original_unless_the_account_says_that_it_names_itself(
    tmp_path: Path, sub_type: str
) -> None:
    day = both([fi((3, sub_type), (4, "R1"), (8, "-100.00"), (9, "-0.20"))])
    [line] = read(tmp_path, day)
    assert line == StatementLine(1, LineKind.REFUND, None, 10_000, True, -20, "R1", original=NUMBER)
    [line] = read(tmp_path, day, statement_refund_order="refund")
    assert (line.number, line.original) == (NUMBER, None)


@pytest.mark.parametrize(
    ("state", "kind", "paid"),
    [
        ("1", LineKind.PAYOUT, True),
        ("0", LineKind.PAYOUT, False),
        ("-1", LineKind.PAYOUT, False),
        ("2", LineKind.RETURN, True),
    ],
)
def test_the_state_of_a_payout_tells_whether_it_was_paid_or_came_back(
    tmp_path: Path, state: str, kind: LineKind, paid: bool
) -> None:
    [line] = read(tmp_path, both((), [fo((8, state))]))
    assert (line.kind, line.paid, line.amount) == (kind, paid, 5_000)


def test_collections_are_in_yuan_or_in_fen_as_the_account_says_and_payouts_always_in_yuan(tmp_path: Path) -> None:
    day = both([fi((8, "12345"), (9, "25"))], [fo()])
    assert [(line.amount, line.fee) for line in read(tmp_path, day)] == [(1_234_500, 2_500), (5_000, None)]
    assert [(each.amount, each.fee) for each in read(tmp_path, day, statement_unit="fen")] == [
        (12_345, 25),
        (5_000, None),
    ]


def test_what_another_terminal_did_is_another_accounts_and_another_merchants_is_refused(tmp_path: Path) -> None:
    assert [line.line for line in read(tmp_path, both([fi((1, "200009999")), fi()]))] == [2]
    more = {"payout_terminal_id": "200009999"}
    assert len(read(tmp_path, both([], [fo((1, "200009999"))]), **more)) == 1
    assert "fi.zip/day.txt, line 2, column 1: is not this merchant's" in refused(tmp_path, both([fi(), fi((0, "1"))]))


def test_identical_lines_stay_two_and_later_columns_may_be_added(tmp_path: Path) -> None:
    assert len(read(tmp_path, both([fi(), fi()]))) == 2
    assert len(read(tmp_path, both([fi() + "|x", fi() + "|"], [fo() + "||"]))) == 3


# Whole or not at all


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (fi((8, "1e3")), "column 9: is no amount"),
        (fi((8, "12.345")), "column 9: is no amount"),
        (fi((8, "")), "column 9"),
        (fi((8, "-1.00")), "column 9: is below zero"),
        (fi((9, "free")), "column 10: is no amount"),
        (fi((7, "")), "column 8: is no status"),
        (fi((7, "成功")), "column 8: is no status"),
        (fi((3, "")), "column 4: is no sub type"),
        (fi((5, "")), "column 6: names no order"),
        (fi((6, "2026-03-01")), "column 7: is of another day than 2026-03-02"),
        (fi((6, "")), "column 7: is of another day"),
        (fi() + "|", "has 12 columns, and should have 11"),
        ("|".join(FI[:10]), "has 10 columns, and should have 11"),
        ("合计|1|123.45", "has 3 columns"),
        ("", "is blank, with lines after it"),
    ],
)
def test_a_line_of_collections_that_cannot_be_read_refuses_the_day_and_says_where(
    tmp_path: Path, line: str, where: str
) -> None:
    reason = refused(tmp_path, both([fi(), line, fi()]))
    assert "line 2" in reason
    assert where in reason


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (fo((8, "3")), "column 9: is no state"),
        (fo((8, "")), "column 9: is no state"),
        (fo((9, "-5.00")), "column 10: is below zero"),
        (fo((9, "5,0")), "column 10: is no amount"),
        (fo((5, "")), "column 6: names no order"),
        (fo((7, "20260303")), "column 8: is of another day"),
        ("|".join(FO[:13]), "has 13 columns, and should have 14"),
    ],
)
def test_a_line_of_payouts_that_cannot_be_read_does_too(tmp_path: Path, line: str, where: str) -> None:
    reason = refused(tmp_path, both([], [fo(), line]))
    assert "line 2" in reason
    assert where in reason


def test_a_day_without_lines_is_an_empty_statement_and_one_without_a_file_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, both()) == []
    assert "fo: is missing" in refused(tmp_path, {"fi.zip": zipped("")})
    assert "fi: is missing" in refused(tmp_path, {})
    assert "second fi" in refused(tmp_path, {"fi-1.zip": zipped(""), "fi-2.zip": zipped("")})
    assert "must say by its name" in refused(tmp_path, {"final.zip": zipped("")})
    assert "must say by its name" in refused(tmp_path, {"fi-and-fo.zip": zipped("")})
    assumed = [name for name in CASE.account().settings["assumed"] if name not in {"payout_fields", "returned_list"}]  # type: ignore[attr-defined]
    assert len(read(tmp_path, {"fi.txt": fi().encode()}, assumed=assumed)) == 1


def test_the_file_may_be_unpacked_and_its_name_stand_in_the_zip(tmp_path: Path) -> None:
    text = fi().encode()
    for content in (text, text + b"\n", text + b"\r\n\r\n", b"\xef\xbb\xbf" + text):
        assert len(read(tmp_path, {"fi_20260302.txt": content, "fo": b""})) == 1
    assert len(read(tmp_path, {"1.zip": zipped(text, "FI20260302.txt"), "2.zip": zipped("", "a/20260302_fo.txt")})) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped(fi())[:-20], "is no whole zip"),
        (zipped(fi(), "../fi.txt"), "leads out of it"),
        (zipped(fi((10, "测")).encode("gbk")), "line 1: is not UTF-8"),
        (zipped(fi().encode("utf-16")), "is UTF-16"),
        (b"<html><body>502</body></html>", "has 1 columns"),
    ],
)
def test_a_file_that_is_not_what_it_must_be_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refused(tmp_path, {"fi.zip": content, "fo.zip": zipped("")})


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_files, "FREE_BYTES", 100_000)
    bomb = zipped(b"\0" * 2_000_000)
    assert "would unpack to more" in refused(tmp_path, {"fi.zip": bomb, "fo.zip": zipped("")})


def test_one_zip_may_have_both_files_and_nothing_else(tmp_path: Path) -> None:
    def packed(**texts: str) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, text in texts.items():
                archive.writestr(f"{name}.txt", text)
        return content.getvalue()

    assert len(read(tmp_path, {"day.zip": packed(fi=fi(), fo=fo())})) == 2
    assert "has 3 files" in refused(tmp_path, {"day.zip": packed(fi=fi(), fo=fo(), more="")})
    assert "must say by its name" in refused(tmp_path, {"fi.zip": packed(fi=fi(), more="")})
    assert "has 0 files" in refused(tmp_path, {"day.zip": packed()})


orders = st.text("0123456789abcdef", min_size=8, max_size=32)
cents = st.integers(0, 10**12)


def yuan(amount: int) -> str:
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02d}"


@examples(50)
@given(st.lists(st.tuples(orders, cents, st.integers(-10_000, 10_000), st.booleans(), st.booleans()), max_size=20))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int, bool, bool]]
) -> None:
    text = [
        fi((5, number), (8, yuan(amount)), (9, yuan(fee)), (7, "1" if paid else "0"), (3, "02" if back else "00"))
        for number, amount, fee, paid, back in rows
    ]
    lines = read(tmp_path_factory.mktemp("day"), both(text))
    assert [(each.number or each.original, each.amount, each.fee, each.paid) for each in lines] == [
        row[:4] for row in rows
    ]
    assert [each.kind is LineKind.REFUND for each in lines] == [row[4] for row in rows]


# Fetching


class Psp:
    """An answer for each file."""

    def __init__(self, answers: Mapping[str, bytes], status: int = 200) -> None:
        self.answers, self.status = answers, status
        self.asked: list[dict[str, str]] = []

    async def __call__(self, request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        assert max_bytes == 256 * 1024 * 1024
        assert request.extensions["timeout"]["read"] > 0
        assert str(request.url) == "https://baofoo.test/boas/api/fileLoadRequest"
        self.asked.append(dict(parse_qsl(request.content.decode())))
        to.write_bytes(self.answers[self.asked[-1]["file_type"]])  # noqa: ASYNC240
        return httpx.Response(self.status, request=request)


def answer(content: bytes, code: str = "0000", said: str = "成功") -> bytes:
    return f"resp_code={code}&resp_msg={said}&resp_body=".encode() + base64.b64encode(content)


async def fetched(tmp_path: Path, psp: Psp, **settings: object) -> list[StatementFile]:
    return await of(settings).fetch(DAY, tmp_path, psp, NOW)


async def test_both_files_are_asked_for_and_read_as_they_are_kept(tmp_path: Path) -> None:
    psp = Psp({"fi": answer(zipped(fi())), "fo": answer(zipped(fo()))})
    files = await fetched(tmp_path, psp)
    known = {"version": "4.0.0.1", "member_id": MEMBER, "client_ip": "192.0.2.7", "settle_date": "2026-03-02"}
    assert psp.asked == [{**known, "file_type": "fi"}, {**known, "file_type": "fo"}]
    assert [file.name for file in files] == [f"fi-{MEMBER}-20260302.zip", f"fo-{MEMBER}-20260302.zip"]
    assert sorted(tmp_path.iterdir()) == [file.path for file in files]  # noqa: ASYNC240
    assert [line.kind for line in of().read(files, DAY)] == [LineKind.PAYMENT, LineKind.PAYOUT]


async def test_an_account_without_payouts_asks_for_collections_alone(tmp_path: Path) -> None:
    assumed = ["order_time", "statement_files"]
    psp = Psp({"fi": answer(zipped(fi()))})
    [file] = await fetched(tmp_path, psp, assumed=assumed)
    assert len(list(of({"assumed": assumed}).read([file], DAY))) == 1


@pytest.mark.parametrize("piece", [1, 2, 3, 4, 7, 64, 100_000])
def test_the_answer_is_taken_apart_wherever_its_pieces_end(
    tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_answer, "PIECE_BYTES", piece)
    content = bytes(range(256)) + b"\xfb\xff\xfe"
    text = base64.b64encode(content).decode()
    wrapped = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    forms = (
        f"resp_code=0000&resp_msg=ok&resp_body={text}",
        f"resp_body={text}&resp_code=0000",
        f"resp_code=0000&resp_body={quote(text, safe='')}&resp_msg={quote('成功')}",
        f"resp_code=0000&resp_body={wrapped}\r\n",
    )
    for form in forms:
        (tmp_path / "answer").write_bytes(form.encode())
        code, message = statement_answer.taken(tmp_path / "answer", tmp_path / "to", Place("fi"))
        assert (code, message in {"ok", "", "成功"}) == ("0000", True)
        assert (tmp_path / "to").read_bytes() == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is an empty answer"),
        (b"<html><body>502</body></html>", "is no answer of Baofoo's"),
        (b"resp_msg=ok&resp_body=UEs=", "is no answer of Baofoo's"),
        (b"resp_code=0000&resp_code=0001", "is no answer of Baofoo's"),
        (b"\xff\xfe<\x00", "not UTF-8"),
        (b"x" * 100_000, "is no answer of Baofoo's"),
        (b"resp_code=0000&resp_msg=ok&resp_body=", "is no zip"),
        (b"resp_code=0000", "is no zip"),
        (b"resp_code=0000&resp_body=UEsDB", "ends within its base64"),
        (b"resp_code=0000&resp_body=UE*D", "is no base64"),
        (b"resp_code=0000&resp_body=UEs=UEsD", "base64"),
        (b"resp_code=0000&resp_body=UEsDUEsD", "is no zip"),
        (b"resp_code=0001&resp_msg=IP", "Baofoo refuses it: fi: 0001 IP"),
    ],
)
async def test_an_answer_that_is_none_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(StatementRefusedError, match=reason.replace("*", r"\*")):
        await fetched(tmp_path, Psp({"fi": content}))


async def test_an_http_error_is_refused_whatever_it_says(tmp_path: Path) -> None:
    with pytest.raises(StatementRefusedError, match="HTTP 502"):
        await fetched(tmp_path, Psp({"fi": answer(zipped(fi()))}, 502))


async def test_what_is_not_there_yet_is_asked_for_later_by_its_words_or_by_the_accounts_codes(tmp_path: Path) -> None:
    for said in ("对账文件未生成", "文件不存在", quote("请稍后再试")):
        with pytest.raises(StatementNotReadyError, match="fi: 1001"):
            await fetched(tmp_path, Psp({"fi": answer(b"", "1001", said)}))
    late = Psp({"fi": answer(b"", "1001", "其他")})
    with pytest.raises(StatementRefusedError):
        await fetched(tmp_path, late)
    with pytest.raises(StatementNotReadyError):
        await fetched(tmp_path, late, statement_not_ready=["1001"])


async def test_without_an_address_that_baofoo_allows_a_person_gives_the_files(tmp_path: Path) -> None:
    alone = of({"client_ip": None})
    assert (alone.rules.fetched, of().rules.fetched) == (False, True)
    with pytest.raises(StatementNotReadyError, match="client_ip"):
        await alone.fetch(DAY, tmp_path, Psp({}), NOW)
    await alone.confirm(DAY, Psp({}), tmp_path, NOW)


# Settings


def test_without_the_accounts_word_there_are_no_statements() -> None:
    account = CASE.account()
    settings = {**account.settings, "assumed": ["order_time"]}
    assert statements_of(CASE.build(replace(account, settings=settings), Wire(CASE.processing))) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_ip", "localhost"),
        ("client_ip", 7),
        ("statement_unit", "jiao"),
        ("statement_refund_order", "both"),
        ("statement_url", "ftp://files"),
        ("statement_not_ready", "1001"),
        ("statement_not_ready", ["no code"]),
        ("statement_ready_at", "9"),
    ],
)
def test_settings_that_are_none_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(AccountError, match=name):
        of({name: value})
