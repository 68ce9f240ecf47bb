"""UnionPay's statements: reading ZM and ZME files by bytes, and believing the answer that brings the zip.

Not tested here: zips and numbers as such (`test_statement_files`), and the sandbox's files
(`test_statements_on_sandbox`).
"""

import base64
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from adapters.account import AccountError
from adapters.registry import offer_of
from adapters.unionpay import UnionPay
from gateway.domain.statements import LineKind, StatementLine
from gateway.ports.statements import (
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
    Statements,
    statements_of,
)
from tests.adapters.certificates import Identity
from tests.adapters.unionpay_case import MER_IDS, MERCHANT, MIDDLE, PSP, UnionPayCase, digest, signed
from tests.examples import examples

DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, 1, 2, 3, tzinfo=UTC)
MER_ID = MER_IDS["first"]
ZM = (3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32, 13,
      13, 8, 32, 13, 13, 12, 2, 1, 32, 98)  # fmt: skip
ZME = (3, 11, 11, 6, 10, 19, 12, 4, 2, 2, 6, 10, 4, 12, 13, 13, 15, 15, 1, 12, 2, 135)
ZM_NAME, ZME_NAME = f"INN26030288ZM_{MER_ID}", f"INN26030288ZME_{MER_ID}"

Columns = dict[int, str]
PAID: Columns = {
    1: "S22", 2: "48021000", 4: "000001", 5: "0302101112", 6: "622202*********1234", 7: "000000012345",
    10: "832603021011120000017", 12: "0f8fad5bd9cb469fa16570867728950e", 13: "01", 16: "D000000000123",
    17: "C000000012345", 20: "01", 21: "01", 22: "000902", 28: MER_ID, 31: "某某商户（上海）",
}  # fmt: skip


def row(columns: Columns, widths: tuple[int, ...] = ZM) -> bytes:
    """Columns by their number from 1, as wide as they must be in bytes of GBK."""
    cells = [columns.get(number, "").encode("gbk").ljust(width) for number, width in enumerate(widths, 1)]
    assert [len(cell) for cell in cells] == list(widths)
    return b" ".join(cells)


def paid(**changes: str) -> bytes:
    return row(PAID | {int(name.removeprefix("c")): text for name, text in changes.items()})


def text_of(*rows: bytes, end: bytes = b"\r\n") -> bytes:
    return b"".join(each + end for each in rows)


def zipped(content: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return whole.getvalue()


def statements(**settings: object) -> Statements:
    account = UnionPayCase().account()
    told = {**account.settings, "assumed": ["statement_columns"], "statement_url": "https://files.unionpay.test"}
    adapter = UnionPay(replace(account, settings={**told, **settings}), no_transport, lambda: NOW)
    found = statements_of(adapter)
    assert found is not None
    return found


async def no_transport(request: httpx.Request) -> httpx.Response:
    raise AssertionError(request.url)


def read(folder: Path, content: Mapping[str, bytes] | bytes, day: date = DAY) -> list[StatementLine]:
    path = folder / "given.zip"
    path.write_bytes(content if isinstance(content, bytes) else zipped(content))
    return list(statements().read([StatementFile("given.zip", path)], day))


def test_a_payment_is_read_to_the_fen_with_its_numbers_and_its_time(tmp_path: Path) -> None:
    [line] = read(tmp_path, {ZM_NAME: text_of(paid())})
    assert line == StatementLine(
        1,
        LineKind.PAYMENT,
        "0f8fad5bd9cb469fa16570867728950e",
        12_345,
        fee=123,
        transaction_no="832603021011120000017",
        at=datetime.fromisoformat("2026-03-02T10:11:12+08:00"),
    )


KINDS: list[tuple[str, str, str, LineKind, int]] = [
    ("01", "D000000000123", "C000000012345", LineKind.PAYMENT, 123),
    ("11", "D000000000000", "C000000012345", LineKind.PAYMENT, 0),
    ("04", "C000000000123", "D000000012345", LineKind.REFUND, -123),
    ("31", "C000000000123", "D000000012345", LineKind.REFUND, -123),
    ("12", "D000000000100", "D000000012345", LineKind.PAYOUT, 100),
    ("12", "C000000000100", "C000000012345", LineKind.RETURN, -100),
    ("13", "D000000000123", "C000000012345", LineKind.PAYMENT, 123),
    ("99", "D000000000000", "D000000012345", LineKind.OUT, 0),
    ("01", "", "", LineKind.PAYMENT, 0),
]


@pytest.mark.parametrize(("txn_type", "fee", "settled", "kind", "taken"), KINDS)
def test_the_kind_is_the_transactions_and_the_fees_sign_tells_who_pays_it(
    tmp_path: Path, txn_type: str, fee: str, settled: str, kind: LineKind, taken: int
) -> None:
    [line] = read(tmp_path, {ZM_NAME: text_of(paid(c20=txn_type, c16=fee, c17=settled))})
    assert (line.kind, line.amount, line.fee, line.paid, line.original) == (kind, 12_345, taken, True, None)


def test_two_equal_lines_are_two_and_a_line_without_a_number_stays(tmp_path: Path) -> None:
    lines = read(tmp_path, {ZM_NAME: text_of(paid(), paid(), paid(c12="", c10=""))})
    assert [(line.line, line.number is None) for line in lines] == [(1, False), (2, False), (3, True)]
    assert lines[2].transaction_no is None


def test_openings_and_codes_which_move_no_money_are_no_lines(tmp_path: Path) -> None:
    assert read(tmp_path, {ZM_NAME: text_of(paid(c20="79", c7="000000000000", c17="C000000000000"))}) == []


@pytest.mark.parametrize("text", [b"", b"\r\n", b"\n\n"])
def test_a_day_without_lines_is_an_empty_statement(tmp_path: Path, text: bytes) -> None:
    assert read(tmp_path, {ZM_NAME: text, ZME_NAME: b"", f"RD2026030288_{MER_ID}": b"whatever"}) == []


@pytest.mark.parametrize(("end", "mark"), [(b"\n", b""), (b"\r\n", b""), (b"\n", b"\xef\xbb\xbf"), (b"\r\n\r\n", b"")])
def test_line_ends_and_a_mark_change_nothing(tmp_path: Path, end: bytes, mark: bytes) -> None:
    text = mark + paid() + b"\r\n" + paid(c12="2" * 32) + end
    assert [line.number for line in read(tmp_path, {ZM_NAME: text})] == [PAID[12], "2" * 32]


def test_times_around_new_year_are_of_the_year_that_is_near(tmp_path: Path) -> None:
    name, day = f"INN27010188ZM_{MER_ID}", date(2027, 1, 1)
    lines = read(tmp_path, {name: text_of(paid(c5="1231235959"), paid(c5="0101000000"))}, day)
    assert [line.at and line.at.isoformat() for line in lines] == [
        "2026-12-31T23:59:59+08:00",
        "2027-01-01T00:00:00+08:00",
    ]
    [leap] = read(tmp_path, {f"INN28022988ZM_{MER_ID}": text_of(paid(c5="0229120000"))}, date(2028, 2, 29))
    assert leap.at is not None
    assert leap.at.date() == date(2028, 2, 29)


def test_a_dispute_is_told_as_not_done_and_names_no_order(tmp_path: Path) -> None:
    columns = {1: "E74", 5: "0302090000", 7: "000000012345", 15: "D000000000000", 16: "D000000012345"}
    disputes = text_of(row(columns, ZME), row(columns | {16: "C000000012345"}, ZME))
    out, back = read(tmp_path, {ZM_NAME: b"", ZME_NAME: disputes})
    assert (out.kind, out.number, out.amount, out.paid) == (LineKind.OUT, None, 12_345, False)
    assert (back.kind, back.paid, back.line) == (LineKind.PAYMENT, False, 2)


REFUSED: dict[str, tuple[bytes, str]] = {
    "a short line": (text_of(paid(), paid()[:-1]), "line 2: has 606 bytes; a line of ZM has 607"),
    "a long line": (text_of(paid() + b" "), "line 1: has 608 bytes"),
    "a line cut in the middle": (text_of(paid(), paid())[:-50], "line 2: has 559 bytes"),
    "a page of HTML": (b"<html><body>502</body></html>", "line 1: has 29 bytes"),
    "columns that are shifted": (text_of(paid()[1:] + b" "), "line 1: has no spaces where"),
    "a blank line between": (text_of(paid(), b"", paid()), "line 2: is blank"),
    "UTF-16": (text_of(paid()).decode("gbk").encode("utf-16"), "line 1: is UTF-16"),
    "UTF-8, which is wider": (text_of(paid()).decode("gbk").encode(), "line 1: has"),
    "an amount with a sign": (text_of(paid(c7="-00000012345")), "line 1, column 7: is no amount of 12 digits"),
    "an amount with a point": (text_of(paid(c7="00000123.450")), "line 1, column 7: is no amount"),
    "an amount that is short": (text_of(paid(c7="12345")), "line 1, column 7: is no amount"),
    "an amount in another script": (text_of(paid(c7="１２３４５６")), "line 1, column 7: is no amount"),
    "a fee without a sign": (text_of(paid(c16="0000000000123")), "line 1, column 16: is no D or C"),
    "a fee with another sign": (text_of(paid(c16="-000000000123")), "line 1, column 16: is no D or C"),
    "a payment that is taken": (text_of(paid(c17="D000000012345")), "line 1, column 17: settles a payment the other"),
    "a refund that comes in": (text_of(paid(c20="04")), "line 1, column 17: settles a refund the other way"),
    "an unknown type of no direction": (text_of(paid(c20="77", c17="")), "line 1, column 17: moves money, and"),
    "a time that is none": (text_of(paid(c5="0230101112")), "line 1, column 5: is no time"),
    "a time with letters": (text_of(paid(c5="03021O1112")), "line 1, column 5: is no time"),
    "another merchant": (text_of(paid(), paid(c28=MER_IDS["second"])), "line 2, column 28: is of another merchant"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_is_refused_whole_with_the_line_and_what_is_wrong(tmp_path: Path, what: str) -> None:
    text, reason = REFUSED[what]
    with pytest.raises(StatementRefusedError, match=f"^{ZM_NAME}, {reason}"):
        read(tmp_path, {ZM_NAME: text})


def test_a_number_that_is_no_gbk_is_refused(tmp_path: Path) -> None:
    broken = paid(c12="").replace(b" " * 32, b"\xff" + b" " * 31, 1)
    with pytest.raises(StatementRefusedError, match=r"line 1, column \d+: is not GBK|no spaces"):
        read(tmp_path, {ZM_NAME: text_of(broken)})


WRONG_ENTRIES: dict[str, tuple[dict[str, bytes], str]] = {
    "none at all": ({}, f"given.zip: has no entry INN260302..ZM_{MER_ID}"),
    "disputes alone": ({ZME_NAME: b""}, "given.zip: has no entry"),
    "a summary alone": ({"RD2026030288": b""}, "given.zip: has no entry"),
    "of another day": ({ZM_NAME: b"", f"INN26030388ZM_{MER_ID}": b""}, "is of another day than 2026-03-02"),
    "of another year": ({f"INN25030288ZM_{MER_ID}": b""}, "is of another day"),
    "of another merchant": ({f"INN26030288ZM_{MER_IDS['second']}": b""}, "is of another merchant"),
    "of a kind that nobody knows": ({ZM_NAME: b"", f"INN26030288ZX_{MER_ID}": b""}, "an entry of no kind that is"),
    "one that leads out": ({ZM_NAME: b"", f"../{ZME_NAME}": b""}, "leads out"),
}


@pytest.mark.parametrize("what", WRONG_ENTRIES)
def test_a_zip_with_other_entries_is_refused(tmp_path: Path, what: str) -> None:
    content, reason = WRONG_ENTRIES[what]
    with pytest.raises(StatementRefusedError, match=reason):
        read(tmp_path, content)


def test_a_file_that_was_unpacked_or_a_zip_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StatementRefusedError, match="is no zip"):
        read(tmp_path, text_of(paid()))
    (tmp_path / "a.zip").write_bytes(zipped({ZM_NAME: text_of(paid())}))
    twice = [StatementFile(name, tmp_path / "a.zip") for name in ("a.zip", "again.zip")]
    with pytest.raises(StatementRefusedError, match=f"again.zip: has {ZM_NAME} once more"):
        list(statements().read(twice, DAY))
    with pytest.raises(StatementRefusedError, match="has no entry"):
        list(statements().read([], DAY))


@examples(40)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(sorted({kind[0] for kind in KINDS[:5]})),
            st.integers(0, 10**12 - 1),
            st.integers(-(10**12) + 1, 10**12 - 1),
            st.text("0123456789abcdefABCDEF", min_size=8, max_size=32),
            st.text(st.characters(codec="gbk", exclude_categories=("C", "Z")), max_size=16),
        ),
        max_size=6,
    )
)
def test_whatever_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int, str, str]]
) -> None:
    directions = {"01": "C", "11": "C", "04": "D", "31": "D", "12": "D"}
    text = text_of(
        *(
            paid(
                c20=txn_type,
                c7=f"{amount:012d}",
                c16=f"{'D' if fee >= 0 else 'C'}{abs(fee):012d}",
                c17=f"{directions[txn_type]}{amount:012d}",
                c12=number,
                c31=name,
            )
            for txn_type, amount, fee, number, name in rows
        )
    )
    lines = read(tmp_path_factory.mktemp("day"), {ZM_NAME: text})
    assert [(line.amount, line.fee, line.number) for line in lines] == [each[1:4] for each in rows]


# --- asking for it ---


class Psp:
    """What answers a request for a file; the answer goes to disk, as the wire's `download` has it."""

    def __init__(self, answer: Callable[[dict[str, str]], Mapping[str, str] | bytes], status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.asked: list[dict[str, str]] = []

    async def __call__(self, request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        assert (request.method, str(request.url)) == ("POST", "https://files.unionpay.test")
        assert request.extensions["timeout"].keys() == {"connect", "read", "write", "pool"}
        fields = dict(parse_qsl(request.content.decode("ascii"), strict_parsing=True))
        MERCHANT.key.public_key().verify(
            base64.b64decode(fields["signature"]), digest(fields), padding.PKCS1v15(), hashes.SHA256()
        )
        self.asked.append(fields)
        told = self.answer(fields)
        body = told if isinstance(told, bytes) else "&".join(f"{k}={v}" for k, v in told.items()).encode()
        assert len(body) <= max_bytes
        write(to, body)
        return httpx.Response(self.status, request=request)


def write(to: Path, body: bytes) -> None:
    to.write_bytes(body)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def content_of(whole: bytes) -> str:
    return base64.b64encode(zlib.compress(whole)).decode()


DAYS_ZIP = zipped({ZM_NAME: text_of(paid(), paid(c12="2" * 32))})


def said(asked: Mapping[str, str], by: Identity = PSP, **more: str) -> dict[str, str]:
    echoed = {name: asked[name] for name in ("version", "txnType", "merId", "settleDate", "fileType", "txnTime")}
    told = {"respCode": "00", "respMsg": "成功", "fileName": f"{MER_ID}_20260302.zip"}
    return signed({**echoed, **told, "fileContent": content_of(DAYS_ZIP), **more}, by)


async def fetched(folder: Path, psp: Psp) -> list[StatementFile]:
    return await statements().fetch(DAY, folder, psp, NOW)


async def test_the_file_of_a_day_is_asked_for_as_the_demo_does_and_lies_on_disk_afterwards(tmp_path: Path) -> None:
    psp = Psp(said)
    files = await fetched(tmp_path, psp)
    assert [file.name for file in files] == [f"{MER_ID}_20260302.zip"]
    assert names_in(tmp_path) == [f"{MER_ID}_20260302.zip"], "the raw answer is gone"
    [asked] = psp.asked
    assert asked.pop("signature")
    assert asked == {
        "version": "5.1.0", "encoding": "UTF-8", "signMethod": "01", "txnType": "76", "txnSubType": "01",
        "bizType": "000000", "accessType": "0", "fileType": "00", "merId": MER_ID, "settleDate": "0302",
        "txnTime": "20260303090203", "certId": str(MERCHANT.certificate.serial_number),
    }  # fmt: skip
    assert [line.number for line in statements().read(files, DAY)] == [PAID[12], "2" * 32]
    assert await statements().confirm(DAY, psp, tmp_path, NOW) is None  # type: ignore[func-returns-value]
    assert len(psp.asked) == 1


async def test_a_file_bigger_than_the_pieces_that_it_is_read_in_is_whole(tmp_path: Path) -> None:
    rows = [paid(c12=f"{number:032d}", c31=f"店{number * 7919 % 1000003:06d}") for number in range(20_000)]
    whole = zipped({ZM_NAME: text_of(*rows)})
    files = await fetched(tmp_path, Psp(lambda asked: said(asked, fileContent=content_of(whole))))
    assert files[0].path.read_bytes() == whole
    assert sum(1 for _ in statements().read(files, DAY)) == 20_000


@pytest.mark.parametrize("place", ["first", "last", "middle"])
async def test_the_content_may_stand_anywhere_in_the_answer(tmp_path: Path, place: str) -> None:
    def answer(asked: dict[str, str]) -> dict[str, str]:
        told = said(asked)
        content = {"fileContent": told.pop("fileContent")}
        if place == "first":
            return content | told
        return told | content if place == "last" else {"signature": told.pop("signature")} | content | told

    assert len(await fetched(tmp_path, Psp(answer))) == 1


@pytest.mark.parametrize("code", ["98", "41", "02", "39"])
async def test_a_day_that_has_no_file_yet_is_asked_for_later(tmp_path: Path, code: str) -> None:
    psp = Psp(lambda asked: signed({"merId": MER_ID, "txnTime": asked["txnTime"], "respCode": code, "respMsg": "无"}))
    with pytest.raises(StatementNotReadyError, match=f"{code} 无"):
        await fetched(tmp_path, psp)
    assert names_in(tmp_path) == []


def altered(asked: dict[str, str]) -> dict[str, str]:
    told = said(asked)
    return told | {"fileContent": content_of(zipped({ZM_NAME: text_of(paid(c7="000000099999"))}))}


UNBELIEVABLE: dict[str, tuple[Callable[[dict[str, str]], Mapping[str, str] | bytes], str]] = {
    "a content that was altered": (altered, "the signature is wrong"),
    "a field that was altered": (lambda asked: said(asked) | {"respMsg": "x"}, "the signature is wrong"),
    "a stranger's": (lambda asked: said(asked, MIDDLE), "signature or its certificate is not UnionPay's"),
    "without a signature": (lambda asked: said(asked) | {"signature": ""}, "is not UnionPay's|is wrong"),
    "HTML": (lambda _: b"<html>502</html>", "not an answer in k=v"),
    "nothing": (lambda _: b"", "not an answer in k=v"),
    "not UTF-8": (lambda _: b"respCode=98&respMsg=\xce\xde", "not UTF-8"),
    "a big page": (lambda _: b"<p>" * 30_000, "no answer in k=v"),
    "another merchant's": (lambda asked: said(asked, merId=MER_IDS["second"]), "another merchant or day"),
    "another day's": (lambda asked: said(asked, settleDate="0301"), "another merchant or day"),
    "refused": (lambda asked: said(asked, respCode="11"), "the answer is '11'"),
    "without a file": (lambda asked: said(asked, fileContent=""), "the answer is '00', without a file"),
    "no base64": (lambda asked: said(asked, fileContent="????"), "no base64"),
    "no zlib": (lambda asked: said(asked, fileContent=base64.b64encode(DAYS_ZIP).decode()), "no zlib stream"),
    "cut": (lambda asked: said(asked, fileContent=content_of(DAYS_ZIP)[:40]), "ends within its zlib"),
}


@pytest.mark.parametrize("what", UNBELIEVABLE)
async def test_an_answer_that_is_not_to_be_believed_is_refused_and_nothing_stays(tmp_path: Path, what: str) -> None:
    answer, reason = UNBELIEVABLE[what]
    with pytest.raises(StatementRefusedError, match=reason):
        await fetched(tmp_path, Psp(answer))
    assert not (tmp_path / "unionpay.answer").exists()


async def test_an_error_of_the_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StatementRefusedError, match="HTTP 502"):
        await fetched(tmp_path, Psp(lambda _: b"<html>", status=502))


async def test_a_name_that_is_no_name_is_ours(tmp_path: Path) -> None:
    [file] = await fetched(tmp_path, Psp(lambda asked: said(asked, fileName="../../etc/passwd")))
    assert (file.name, file.path.parent) == (f"{MER_ID}_20260302.zip", tmp_path)


# --- the account ---


async def test_without_the_address_of_files_a_person_gives_them(tmp_path: Path) -> None:
    account = UnionPayCase().account()
    adapter = UnionPay(
        replace(account, settings={**account.settings, "assumed": ["statement_columns"]}), no_transport, lambda: NOW
    )
    given = statements_of(adapter)
    assert given is not None
    assert not given.rules.fetched
    with pytest.raises(StatementNotReadyError, match="statement_url"):
        await given.fetch(DAY, tmp_path, Psp(said), NOW)


def test_the_day_ends_at_eleven_in_the_evening_unless_the_account_says_otherwise() -> None:
    assert (statements().rules.day_cut, statements().rules.ready_at, statements().rules.fetched) == (
        time(23),
        time(9),
        True,
    )
    assert statements(day_cut="22:30", statement_ready_at="11:00").rules.day_cut == time(22, 30)
    with pytest.raises(AccountError, match="day_cut"):
        statements(day_cut="25:00")
    with pytest.raises(AccountError, match="statement_url"):
        statements(statement_url="ftp://files")


def test_without_the_accounts_word_nothing_is_read() -> None:
    assert statements_of(UnionPay(UnionPayCase().account(), no_transport, lambda: NOW)) is None
    assert "statement_columns" in {
        each.name for each in offer_of("unionpay").declaration.assumptions if each.statements
    }
