"""Statements as files: numbers as they are written, charsets and line ends, zips that are not to be trusted.

Not tested here: what the columns of any PSP mean (each reader has tests of its own).
"""

import base64
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import statement_files
from adapters.statement_files import (
    Place,
    byte_lines,
    decoded,
    entries,
    inflated,
    is_zip,
    lines_of,
    moment,
    opened,
    written,
)
from gateway.ports.statements import StatementFile, StatementRefusedError
from tests.examples import examples


def at(line: int = 3) -> Place:
    place = Place("day.csv")
    place.line = line
    return place


# --- numbers ---

YUAN = {
    "0.29": 29,
    "8.20": 820,
    "8.2": 820,
    "8": 800,
    "0": 0,
    "1,234.56": 123_456,
    "1,234,567.8": 123_456_780,
    "-50.00": -5_000,
    "+50.00": 5_000,
    "\u221250.00": -5_000,
    "\uff0d50.00": -5_000,
    "(50.00)": -5_000,
    "  19.99 ": 1_999,
    "12.3400": 1_234,
    "12.30": 1_230,
    "1000000000000.01": 100_000_000_000_001,
}
NO_YUAN = [
    "", " ", "1e3", "1E3", "1,23", "12,34.56", "1,2345", ",123", "1.234", "1.2.3", "1.", ".5", "--5", "-(5)",
    "(5", "5)", "5-", "0x10", "NaN", "inf", "¥5", "5元", "１２", "1 234", "1'234", "12345678901234", "\u00a05\u00a05",
]  # fmt: skip


@pytest.mark.parametrize(("text", "fen"), YUAN.items())
def test_yuan_are_exact_fen_with_the_sign_that_is_written(text: str, fen: int) -> None:
    assert at().yuan(text, 4) == fen


@pytest.mark.parametrize("text", NO_YUAN)
def test_what_is_no_amount_is_refused_with_its_line_and_column(text: str) -> None:
    with pytest.raises(StatementRefusedError, match=re.escape("day.csv, line 3, column 4: is no amount in yuan")) as it:
        at().yuan(text, 4)
    assert (it.value.file, it.value.line, it.value.column) == ("day.csv", 3, 4)


def test_an_amount_with_two_signs_is_refused() -> None:
    with pytest.raises(StatementRefusedError, match="two signs"):
        at().yuan("(-50.00)", "amount")


@pytest.mark.parametrize(("text", "fen"), {"0": 0, "000000000029": 29, "1,234": 1_234, "-7": -7, "(7)": -7}.items())
def test_fen_are_whole(text: str, fen: int) -> None:
    assert at().fen(text, 1) == fen


@pytest.mark.parametrize("text", ["1.5", "1.00", *NO_YUAN])
def test_fen_with_decimals_are_refused(text: str) -> None:
    with pytest.raises(StatementRefusedError, match="line 3, column 1"):
        at().fen(text, 1)


@examples(100)
@given(st.integers(-(10**12), 10**12))
def test_every_amount_survives_being_written_as_yuan(fen: int) -> None:
    yuan = Decimal(fen) / 100
    assert at().yuan(f"{yuan:.2f}", 1) == fen
    assert at().yuan(f"{yuan:,.2f}", 1) == fen


def test_a_time_is_beijings_and_any_other_text_is_refused() -> None:
    read = moment(" 20261126235500", "%Y%m%d%H%M%S", at(), 2)
    assert read.isoformat() == "2026-11-26T23:55:00+08:00"
    with pytest.raises(StatementRefusedError, match="line 3, column 2: is no time"):
        moment("20261326235500", "%Y%m%d%H%M%S", at(), 2)
    assert moment("2026-11-26 23:55", "%Y-%m-%d %H:%M", at(), 2).isoformat() == "2026-11-26T23:55:00+08:00"
    for text in ("2026112623550", "202611262355001", "2026-11-262355", "２０２６１１２６２３５５００"):
        with pytest.raises(StatementRefusedError, match="no time"):
            moment(text, "%Y%m%d%H%M%S", at(), 2)


# --- lines ---


def lines(content: bytes, encoding: str = "utf-8") -> list[str]:
    return list(lines_of(content, Place("day.csv"), encoding))


@pytest.mark.parametrize(
    "content",
    [
        b"1,a\n2,b\n",
        b"1,a\n2,b",
        b"1,a\r\n2,b\r\n",
        b"\xef\xbb\xbf1,a\n2,b\n",
        b"\xef\xbb\xbf1,a\r\n2,b\r\n\r\n\r\n",
        b"1,a\n2,b\n\n  \n\t\r\n",
    ],
)
def test_a_mark_line_ends_and_blank_lines_at_the_end_change_nothing(content: bytes) -> None:
    assert lines(content) == ["1,a", "2,b"]


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n"])
def test_a_file_without_lines_has_none(content: bytes) -> None:
    assert lines(content) == []


def test_a_mark_alone_is_no_line() -> None:
    assert lines(b"\xef\xbb\xbf") == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused(encoding: str) -> None:
    with pytest.raises(StatementRefusedError, match="UTF-16"):
        lines("1,a\n2,b\n".encode(encoding))


def test_another_charset_is_refused_with_its_line() -> None:
    with pytest.raises(StatementRefusedError, match="line 2: is not UTF-8"):
        lines("1,a\n2,张\n".encode("gbk"))
    with pytest.raises(StatementRefusedError, match="line 1: is not GBK"):
        lines(b"1,\xff\xff\n", "gbk")


def test_a_blank_line_before_others_is_refused_with_its_own_line() -> None:
    with pytest.raises(StatementRefusedError, match="line 2: is blank"):
        lines(b"1,a\n\n\n2,b\n")


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(StatementRefusedError, match="line 1: is longer than 8192 bytes"):
        lines(b"x" * 8193)


def test_bytes_keep_spaces_at_the_end_of_a_line() -> None:
    assert list(byte_lines(io.BytesIO(b"a  \r\nb  \n"), Place("day"))) == [b"a  ", b"b  "]


# --- zips ---


def zipped(content: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", compression) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return whole.getvalue()


def names_in(content: bytes, folder: Path) -> list[str]:
    path = folder / "it.zip"
    path.write_bytes(content)
    with opened(StatementFile("it.zip", path)) as archive:
        found = entries(archive)
        for name in found:
            with archive.open(name) as file:
                while file.read(65_536):
                    pass
        return found


def test_a_zip_tells_its_files_in_order_and_not_its_folders(tmp_path: Path) -> None:
    assert names_in(zipped({"b.txt": b"2", "a.txt": b"1", "d/": b""}), tmp_path) == ["a.txt", "b.txt"]
    assert is_zip(tmp_path / "it.zip")
    assert names_in(zipped({}), tmp_path) == []
    assert is_zip(tmp_path / "it.zip")
    (tmp_path / "no.zip").write_bytes(b"<html>")
    assert not is_zip(tmp_path / "no.zip")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "\\x", "a\\..\\x", "C:x"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StatementRefusedError, match="leads out"):
        names_in(zipped({name: b"1"}), tmp_path)


def test_a_zip_that_is_cut_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    whole = zipped({"a.txt": bytes(range(256)) * 40})
    for end in range(0, len(whole), 7):
        with pytest.raises(StatementRefusedError, match="no whole zip"):
            names_in(whole[:end], tmp_path)


def test_a_zip_whose_content_was_altered_is_refused(tmp_path: Path) -> None:
    whole = bytearray(zipped({"a.txt": b"1,100\n2,200\n"}, zipfile.ZIP_STORED))
    whole[whole.index(b"2,200") + 2] = ord("9")
    with pytest.raises(StatementRefusedError, match="no whole zip"):
        names_in(bytes(whole), tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_files, "FREE_BYTES", 1_000)
    with pytest.raises(StatementRefusedError, match="unpack to more"):
        names_in(zipped({"a.txt": b"0" * 1_000_000}), tmp_path)


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    whole = bytearray(zipped({"a.txt": b"0" * 10_000}))
    directory = whole.index(b"PK\x01\x02")
    whole[directory + 24 : directory + 28] = struct.pack("<I", 10)
    with pytest.raises(StatementRefusedError):
        names_in(bytes(whole), tmp_path)


def test_an_encrypted_zip_and_one_of_too_many_files_are_refused(tmp_path: Path) -> None:
    whole = bytearray(zipped({"a.txt": b"1"}))
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(StatementRefusedError, match="encrypted"):
        names_in(bytes(whole), tmp_path)
    with pytest.raises(StatementRefusedError, match="more than 64 entries"):
        names_in(zipped({str(each): b"" for each in range(65)}), tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("a.txt", b"1")
        archive.writestr("a.txt", b"2")
    with pytest.raises(StatementRefusedError, match="two entries of one name"):
        names_in(whole.getvalue(), tmp_path)


# --- big answers ---


def cut(content: bytes, at_most: int) -> Iterable[bytes]:
    return [content[start : start + at_most] for start in range(0, len(content), at_most)]


@examples(50)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_base64_and_zlib_are_undone_wherever_the_pieces_are_cut(content: bytes, at_most: int) -> None:
    text = base64.encodebytes(zlib.compress(content)).replace(b"\n", b"\r\n")
    assert b"".join(inflated(decoded(cut(text, at_most), "it"), "it")) == content


WHOLE = base64.b64encode(zlib.compress(b"1 2 3\n" * 50))
BROKEN: dict[str, Callable[[], bytes]] = {
    "ends within its base64": lambda: WHOLE[:-1],
    "ends within its zlib": lambda: WHOLE[: len(WHOLE) // 8 * 4],
    "no base64": lambda: WHOLE[:8] + b"!" + WHOLE[9:],
    "after the end of its base64": lambda: base64.b64encode(b"1") + WHOLE,
    "no zlib": lambda: base64.b64encode(b"<html>busy</html>"),
    "after the end of its zlib": lambda: base64.b64encode(zlib.compress(b"1") + b"22"),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_an_answer_that_is_not_whole_is_refused(reason: str) -> None:
    with pytest.raises(StatementRefusedError, match=f"it: .*{reason}"):
        list(inflated(decoded(cut(BROKEN[reason](), 4), "it"), "it"))


def test_what_is_written_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written([b"1", b"2"], tmp_path / "kept", "day.zip")
    assert (file.name, file.path.read_bytes()) == ("day.zip", b"12")
    monkeypatch.setattr(statement_files, "MAX_FILE_BYTES", 1)
    with pytest.raises(StatementRefusedError, match="above 1 bytes"):
        written([b"1", b"2"], tmp_path / "kept", "day.zip")
