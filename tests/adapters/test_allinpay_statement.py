"""Allinpay's statements: reading PDS text, and believing the two answers that bring it.

Not tested here: zips and numbers as such (`test_statement_files`), and the sandbox's files
(`test_acquirers_statements_on_sandbox`).
"""

import base64
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from adapters.account import AccountError
from adapters.allinpay import Allinpay
from gateway.domain.statements import LineKind, StatementLine
from gateway.ports.statements import (
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
    Statements,
    statements_of,
)
from tests.adapters.allinpay_case import MERCHANTS, PSP, SIGNED_MSG, STRANGER, AllinpayCase, field, signed
from tests.adapters.certificates import Identity, identity
from tests.examples import examples

DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, 1, 2, 3, 456, tzinfo=UTC)
MERCHANT_ID = MERCHANTS["first"]
NAME = f"PDS{MERCHANT_ID}20260302.txt"
RANGE_NAME = f"PDS{MERCHANT_ID}20260301235000-20260302234959.txt"
IN = "0f8fad5bd9cb469fa16570867728950e 0 1 0000 12345 622202******1234 20260302101112 20260302 u-1 123"
OUT = "7c9e6679742540de944be07fc1f90ae7 0 0 0000 500 622202******1234 20260302111111 20260302  0"
FAILED = "16fd2706-8baf-433b-82eb-8c7fada847da 0 1 3008 700 622202******1234 20260302111112 20260302 u-1 0"
BACK = "6fa459ea-ee8a-3ca4-894e-db77e160355e 0 0 3056 900 622202******1234 20260302120000 20260302  0"


def text_of(*lines: str, head: str = "", end: str = "\r\n") -> bytes:
    """A whole file; its head agrees with all lines, unless it is said."""
    rows = [line.split(" ") for line in lines]
    sums = [f"{sum(row[2] == way for row in rows)} {sum(int(row[4]) for row in rows if row[2] == way)}" for way in "10"]
    return "".join(each + end for each in (head or f"PDSMK V200 {' '.join(sums)}", *lines)).encode("gbk")


def zipped(content: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return whole.getvalue()


async def no_transport(request: httpx.Request) -> httpx.Response:
    raise AssertionError(request.url)


def statements(**settings: object) -> Statements:
    account = AllinpayCase().account()
    told = {**account.settings, "assumed": ["statement_columns"], **settings}
    found = statements_of(Allinpay(replace(account, settings=told), no_transport))
    assert found is not None
    return found


def read(
    folder: Path, content: bytes, name: str = NAME, settings: Mapping[str, object] | None = None
) -> list[StatementLine]:
    path = folder / "given"
    path.write_bytes(content)
    return list(statements(**settings or {}).read([StatementFile(name, path)], DAY))


def test_each_line_is_read_to_the_fen_and_stands_where_it_stands(tmp_path: Path) -> None:
    paid, out, failed, back = read(tmp_path, text_of(IN, OUT, FAILED, BACK))
    assert paid == StatementLine(
        2,
        LineKind.PAYMENT,
        "0f8fad5bd9cb469fa16570867728950e",
        12_345,
        fee=123,
        at=datetime.fromisoformat("2026-03-02T10:11:12+08:00"),
    )
    assert (out.line, out.kind, out.amount, out.paid, out.fee) == (3, LineKind.OUT, 500, True, 0)
    assert (failed.kind, failed.amount, failed.paid) == (LineKind.PAYMENT, 700, False)
    assert (back.kind, back.amount, back.paid) == (LineKind.RETURN, 900, True)


@pytest.mark.parametrize(
    ("code", "way", "kind", "is_paid"),
    [
        ("0000", "1", LineKind.PAYMENT, True),
        ("4000", "1", LineKind.PAYMENT, True),
        ("4000", "0", LineKind.OUT, True),
        ("3008", "0", LineKind.OUT, False),
        ("3056", "0", LineKind.RETURN, True),
        ("3056", "1", LineKind.PAYMENT, False),
        ("2000", "1", LineKind.PAYMENT, False),
        ("3XYZ", "1", LineKind.PAYMENT, False),
    ],
)
def test_a_code_says_whether_it_was_done(tmp_path: Path, code: str, way: str, kind: LineKind, is_paid: bool) -> None:
    [line] = read(tmp_path, text_of(IN.replace(" 0 1 0000 ", f" 0 {way} {code} ")))
    assert (line.kind, line.paid) == (kind, is_paid)


def test_an_empty_day_is_an_empty_statement(tmp_path: Path) -> None:
    assert read(tmp_path, b"PDSMK V200 0 0 0 0\r\n") == []
    assert read(tmp_path, zipped({RANGE_NAME: b"PDSMK V200 0 0 0 0"}), "any.zip") == []


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: text,
        lambda text: text.replace(b"\r\n", b"\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text + b"\r\n \r\n",
        lambda text: text.removesuffix(b"\r\n"),
    ],
)
def test_line_ends_a_mark_and_blank_lines_at_the_end_change_nothing(
    tmp_path: Path, dress: Callable[[bytes], bytes]
) -> None:
    assert [line.amount for line in read(tmp_path, dress(text_of(IN, OUT)))] == [12_345, 500]


def test_two_equal_lines_are_two(tmp_path: Path) -> None:
    assert len(read(tmp_path, text_of(IN, IN))) == 2


def test_the_head_may_count_what_was_paid_alone(tmp_path: Path) -> None:
    assert len(read(tmp_path, text_of(IN, OUT, FAILED, head="PDSMK V200 1 12345 1 500"))) == 3


FORMS: list[tuple[dict[str, object], str, int | None]] = [
    ({}, "", 123),
    ({"statement_fees": False}, IN.rpartition(" ")[0], None),
    ({"statement_version": "05"}, f"{IN} 100011 ", 123),
    ({"statement_version": "05", "statement_fees": False}, f"{IN.rpartition(' ')[0]} 100011 123456", None),
]


@pytest.mark.parametrize(("settings", "line", "fee"), FORMS)
def test_how_many_fields_a_line_has_is_known_from_what_is_asked_for(
    tmp_path: Path, settings: dict[str, object], line: str, fee: int | None
) -> None:
    [told] = read(tmp_path, text_of(line or IN), settings=settings)
    assert (told.fee, told.amount) == (fee, 12_345)
    for others, other_line, _ in FORMS:
        if others != settings:
            with pytest.raises(StatementRefusedError, match=r"line 2: has \d+ fields"):
                read(tmp_path, text_of(other_line or IN), settings=settings)


def with_field(number: int, text: str) -> bytes:
    fields = IN.split(" ")
    fields[number - 1] = text
    return text_of(IN, head="PDSMK V200 2 24690 0 0") + (" ".join(fields) + "\r\n").encode("gbk")


REFUSED: dict[str, tuple[bytes, str]] = {
    "cut at the end of a line": (
        text_of(IN, OUT, head="PDSMK V200 2 24690 1 500"),
        "line 1: the head says 2 24690 1 500",
    ),
    "another sum": (
        text_of(IN, head="PDSMK V200 1 12346 0 0"),
        "line 1: the head says 1 12346 0 0, and the lines are 1",
    ),
    "a failed line that is missing": (text_of(IN, head="PDSMK V200 2 13045 0 0"), "line 1: the head says 2 13045"),
    "cut in the middle": (text_of(IN, OUT)[:-20], "line 3: has 7 fields; a line of this account has 10"),
    "no head": (f"{IN}\r\n".encode(), "line 1: is no head"),
    "nothing": (b"", "line 1: is no head"),
    "another version": (b"PDSMK V300 0 0 0 0\r\n", "line 1: is no head"),
    "a head cut": (b"PDSMK V200 1 12345", "line 1: is no head"),
    "a head with letters": (b"PDSMK V200 1 12345 0 x\r\n", "line 1, column 6: is no number"),
    "HTML": (b"<html>busy</html>", "line 1: is no head"),
    "a user with a space": (text_of(IN.replace("u-1", "u 1")), "line 2: has 11 fields"),
    "two spaces": (text_of(IN.replace("u-1", " u-1")), "line 2: has 11 fields"),
    "a blank line between": (text_of(IN, "0 0 0 0 0").replace(b"0 0 0 0 0\r\n", b"\r\nx\r\n"), "line 3: is blank"),
    "UTF-16": (text_of(IN).decode("gbk").encode("utf-16"), "line 1: is UTF-16"),
    "another charset": (with_field(9, "@").replace(b"@", b"\xff\xff"), "line 3: is not GBK"),
    "a third direction": (with_field(3, "2"), "line 3, column 3: is neither 0 nor 1"),
    "no code": (with_field(4, ""), "line 3, column 4: is no RET_CODE"),
    "an amount in yuan": (with_field(5, "123.45"), "line 3, column 5: is no whole number of fen"),
    "an amount with a sign": (with_field(5, "-12345"), "line 3, column 5: is no whole"),
    "an amount with commas": (with_field(5, "12,345"), "line 3, column 5: is no whole"),
    "an amount as an exponent": (with_field(5, "1e3"), "line 3, column 5: is no whole"),
    "no amount": (with_field(5, ""), "line 3, column 5: is no whole"),
    "a time that is none": (with_field(7, "20260230101112"), "line 3, column 7: is no time"),
    "no time of what was paid": (with_field(7, ""), "line 3, column 7: is no time"),
    "another day": (with_field(8, "20260303"), "line 3, column 8: is of another day than 2026-03-02"),
    "no day of what was paid": (with_field(8, ""), "line 3, column 8: is of another day"),
    "a fee in yuan": (with_field(10, "1.23"), "line 3, column 10: is no whole number of fen"),
    "no fee": (with_field(10, ""), "line 3, column 10: is no whole"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_is_refused_whole_with_the_line_and_what_is_wrong(tmp_path: Path, what: str) -> None:
    text, reason = REFUSED[what]
    with pytest.raises(StatementRefusedError, match=f"^{NAME}, {reason}"):
        read(tmp_path, text)


def test_what_was_not_done_needs_no_day_and_no_time(tmp_path: Path) -> None:
    [line] = read(tmp_path, text_of(FAILED.replace("20260302111112 20260302", " ")))
    assert (line.paid, line.at) == (False, None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"PDS{MERCHANT_ID}20260303.txt", "of another day"),
        (f"PDS{MERCHANT_ID}20260302235000-20260303234959.txt", "of another day"),
        (f"PDS{MERCHANT_ID}20260302000000-20260302235959.txt", "of another day"),
        (f"PDS{MERCHANTS['second']}20260302.txt", "is not named"),
        ("statement.txt", "is not named"),
        (f"../{NAME}", "is not named|leads out"),
    ],
)
def test_a_file_of_another_day_or_merchant_is_refused_by_its_name(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(StatementRefusedError, match=reason):
        read(tmp_path, text_of(IN), name)
    with pytest.raises(StatementRefusedError, match=reason):
        read(tmp_path, zipped({name: text_of(IN)}), "given.zip")


def test_a_day_that_is_cut_at_midnight_is_named_by_itself(tmp_path: Path) -> None:
    name = f"PDS{MERCHANT_ID}20260302000000-20260302235959.txt"
    assert len(read(tmp_path, text_of(IN), name, {"day_cut": "00:00"})) == 1


def test_a_day_is_one_file_and_one_entry(tmp_path: Path) -> None:
    for content, count in (({}, 0), ({NAME: text_of(IN), RANGE_NAME: text_of(IN)}, 2)):
        with pytest.raises(StatementRefusedError, match=f"has {count} entries"):
            read(tmp_path, zipped(content))
    with pytest.raises(StatementRefusedError, match="are 0 files"):
        list(statements().read([], DAY))
    file = StatementFile(NAME, tmp_path / "given")
    with pytest.raises(StatementRefusedError, match="are 2 files"):
        list(statements().read([file, file], DAY))


@examples(40)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("01"),
            st.sampled_from(["0000", "4000", "3008", "3999"]),
            st.integers(0, 10**14),
            st.integers(-(10**9), 10**9),
            st.text(st.characters(codec="gbk", exclude_categories=("C", "Z")), max_size=12),
        ),
        max_size=8,
    )
)
def test_whatever_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int, int, str]]
) -> None:
    lines = [
        f"n{number} 0 {way} {code} {amount} 6222 20260302101112 20260302 {user} {fee}"
        for number, (way, code, amount, fee, user) in enumerate(rows)
    ]
    told = read(tmp_path_factory.mktemp("day"), text_of(*lines))
    assert [(line.amount, line.fee, line.paid) for line in told] == [
        (amount, fee, code in {"0000", "4000"}) for _, code, amount, fee, _ in rows
    ]


# --- asking for it ---


class Psp:
    """What answers a request for a file; the answer goes to disk, as the wire's `download` has it."""

    def __init__(self, answer: Callable[[httpx.Request], bytes], status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.asked: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        assert request.extensions["timeout"].keys() == {"connect", "read", "write", "pool"}
        self.asked.append(request)
        body = self.answer(request)
        assert len(body) <= max_bytes
        write(to, body)
        return httpx.Response(self.status, request=request)


def write(to: Path, body: bytes) -> None:
    to.write_bytes(body)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


DAYS_ZIP = zipped({RANGE_NAME: text_of(IN, OUT)})


def answered(
    request: httpx.Request, code: str = "0000", content: str | None = None, by: Identity = PSP, req_sn: str = ""
) -> bytes:
    number = req_sn or field(request, "INFO/REQ_SN")
    content = base64.encodebytes(DAYS_ZIP).decode() if content is None else content
    body = f"<QTRANSRSP><CONTENT>{content}</CONTENT></QTRANSRSP>" if content else ""
    info = f"<INFO><TRX_CODE>200002</TRX_CODE><REQ_SN>{number}</REQ_SN><RET_CODE>{code}</RET_CODE>"
    return signed(f"<AIPG>{info}<ERR_MSG>说明</ERR_MSG>@</INFO>{body}</AIPG>", by).content


async def test_the_file_of_a_day_is_asked_for_by_its_day_cut_and_lies_on_disk_afterwards(tmp_path: Path) -> None:
    psp, ours = Psp(answered), statements()
    [file] = await ours.fetch(DAY, tmp_path, psp, NOW)
    assert names_in(tmp_path) == [file.name] == [f"PDS{MERCHANT_ID}20260302.zip"], "the raw answer is gone"
    [request] = psp.asked
    told = {name: field(request, f"QTRANSREQ/{name}") for name in ("MERCHANT_ID", "STATUS", "TYPE", "CONTFEE")}
    assert told == {"MERCHANT_ID": MERCHANT_ID, "STATUS": "2", "TYPE": "0", "CONTFEE": "1"}
    assert field(request, "QTRANSREQ/START_DAY") == "20260301235000"
    assert field(request, "QTRANSREQ/END_DAY") == "20260302234959"
    assert field(request, "INFO/TRX_CODE") == "200002"
    assert field(request, "INFO/REQ_SN") == "ST2026030220260303090203000456"
    before, signature, after = SIGNED_MSG.split(request.content)
    key = identity("first").key.public_key()
    key.verify(bytes.fromhex(signature.decode()), before + after, padding.PKCS1v15(), hashes.SHA1())
    assert [line.amount for line in ours.read([file], DAY)] == [12_345, 500]
    await ours.confirm(DAY, psp, tmp_path, NOW)
    assert len(psp.asked) == 1


async def test_version_and_fees_are_asked_for_as_the_account_says(tmp_path: Path) -> None:
    psp = Psp(answered)
    await statements(statement_version="05", statement_fees=False, day_cut="00:00").fetch(DAY, tmp_path, psp, NOW)
    [request] = psp.asked
    assert (field(request, "INFO/VERSION"), field(request, "QTRANSREQ/CONTFEE")) == ("05", "0")
    assert field(request, "QTRANSREQ/START_DAY") == "20260302000000"
    assert field(request, "QTRANSREQ/END_DAY") == "20260302235959"


async def test_a_file_bigger_than_the_pieces_that_it_is_read_in_is_whole(tmp_path: Path) -> None:
    lines = [f"{number * 7919 % 1000003:032d}{IN[32:]}" for number in range(40_000)]
    whole = zipped({RANGE_NAME: text_of(*lines)})
    psp = Psp(lambda request: answered(request, content=base64.b64encode(whole).decode()))
    [file] = await statements().fetch(DAY, tmp_path, psp, NOW)
    assert file.path.read_bytes() == whole
    assert sum(1 for _ in statements().read([file], DAY)) == 40_000


@pytest.mark.parametrize("code", ["2000", "2008", "1002"])
async def test_a_day_that_has_no_file_yet_is_asked_for_later(tmp_path: Path, code: str) -> None:
    psp = Psp(lambda request: answered(request, code, content=""))
    with pytest.raises(StatementNotReadyError, match=f"{code} 说明"):
        await statements().fetch(DAY, tmp_path, psp, NOW)
    assert names_in(tmp_path) == []


def altered(request: httpx.Request) -> bytes:
    other = base64.encodebytes(zipped({RANGE_NAME: text_of(OUT)}))
    return answered(request).replace(base64.encodebytes(DAYS_ZIP), other)


UNBELIEVABLE: dict[str, tuple[Callable[[httpx.Request], bytes], str]] = {
    "altered": (altered, "the signature is wrong"),
    "a stranger's": (lambda request: answered(request, by=STRANGER), "the signature is wrong"),
    "unsigned": (lambda request: SIGNED_MSG.sub(b"", answered(request)), "not one signature"),
    "signed twice": (lambda request: answered(request) + b"<SIGNED_MSG>00</SIGNED_MSG>", "not one SIGNED_MSG"),
    "of two contents": (lambda request: answered(request, content="AA==</CONTENT><CONTENT>AA=="), "not one CONTENT"),
    "the answer to another": (lambda request: answered(request, req_sn="ST1"), "an answer to another request"),
    "HTML": (lambda _: b"<html>502</html>", "not one signature"),
    "nothing": (lambda _: b"", "not one signature"),
    "refused": (lambda request: answered(request, "1000", content=""), "the answer is '1000', without a file"),
    "without a file": (lambda request: answered(request, content=""), "the answer is '0000', without a file"),
    "no base64": (lambda request: answered(request, content="????"), "no base64"),
    "cut": (lambda request: answered(request, content="AAA"), "ends within its base64"),
    "too much beside": (lambda request: answered(request, "0" * 300_000), "too much beside its content"),
}


@pytest.mark.parametrize("what", UNBELIEVABLE)
async def test_an_answer_that_is_not_to_be_believed_is_refused_and_nothing_stays(tmp_path: Path, what: str) -> None:
    answer, reason = UNBELIEVABLE[what]
    with pytest.raises(StatementRefusedError, match=reason):
        await statements().fetch(DAY, tmp_path, Psp(answer), NOW)
    assert "allinpay.answer" not in names_in(tmp_path)


async def test_an_error_of_the_server_is_refused(tmp_path: Path) -> None:
    for way in ("query", "file"):
        with pytest.raises(StatementRefusedError, match="HTTP 502"):
            await statements(statement_by=way).fetch(DAY, tmp_path, Psp(lambda _: b"<html>", 502), NOW)


async def test_the_simple_request_is_a_signed_address_and_brings_the_text(tmp_path: Path) -> None:
    psp, ours = Psp(lambda _: text_of(IN)), statements(statement_by="file")
    [file] = await ours.fetch(DAY, tmp_path, psp, NOW)
    assert file.name == NAME
    assert len(list(ours.read([file], DAY))) == 1
    [request] = psp.asked
    assert (request.method, request.url.path) == ("GET", "/aipg/GetConFile.do")
    asked = dict(request.url.params)
    signature = bytes.fromhex(asked.pop("SIGN"))
    assert asked == {"SETTDAY": "20260302", "REQTIME": "20260303090203", "MERID": MERCHANT_ID, "CONTFEE": "1"}
    text = f"20260302|20260303090203|{MERCHANT_ID}".encode()
    identity("first").key.public_key().verify(signature, text, padding.PKCS1v15(), hashes.SHA1())


async def test_the_simple_answer_is_a_statement_or_refused_and_an_empty_one_is_not_ready(tmp_path: Path) -> None:
    ours = statements(statement_by="file")
    with pytest.raises(StatementNotReadyError, match="an empty answer"):
        await ours.fetch(DAY, tmp_path, Psp(lambda _: b""), NOW)
    for wrong in (b"<html>busy</html>", "签名错误".encode("gbk"), b"PDS"):
        with pytest.raises(StatementRefusedError, match="no statement"):
            await ours.fetch(DAY, tmp_path, Psp(lambda _, wrong=wrong: wrong), NOW)  # type: ignore[misc]


# --- the account ---


@pytest.mark.parametrize(
    "wrong",
    [{"statement_by": "mail"}, {"statement_version": "06"}, {"statement_fees": "yes"}, {"day_cut": "24:00"}],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(AccountError, match=next(iter(wrong))):
        statements(**wrong)


def test_the_day_ends_at_ten_to_midnight_unless_the_account_says_otherwise() -> None:
    assert (statements().rules.day_cut, statements().rules.fetched) == (time(23, 50), True)
    assert statements(day_cut="00:00").rules.day_cut == time(0)


def test_without_the_accounts_word_nothing_is_read() -> None:
    assert statements_of(Allinpay(AllinpayCase().account(), no_transport)) is None
