"""What statements have in common as files: zips that are not trusted, lines in one charset, numbers, times.

Everything is refused whole where it is not what it must be (`StatementRefusedError`), with file, line and column.
Money is read as text: no float comes near it.
"""

import mmap
import re
import zipfile
import zlib
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from gateway.domain.statements import PSP_ZONE
from gateway.ports.statements import StatementFile, StatementRefusedError

__all__ = [
    "COMPACT",
    "MAX_FILE_BYTES",
    "MAX_TEXT_BYTES",
    "PIECE_BYTES",
    "Place",
    "byte_lines",
    "decoded",
    "entries",
    "inflated",
    "is_zip",
    "lines_of",
    "mapped_file",
    "moment",
    "opened",
    "pieces_of",
    "text_lines",
    "written",
]

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""Of a file as it comes; beyond it is no statement of a day."""
MAX_TEXT_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Of all that is in a zip, unpacked."""
MAX_RATIO: Final = 200
"""How much bigger than the zip its content may be, beyond the first 64 MiB: text of statements has about 10."""
FREE_BYTES: Final = 64 * 1024 * 1024
MAX_ENTRIES: Final = 64
MAX_LINE_BYTES: Final = 8192
COMPACT: Final = "%Y%m%d%H%M%S"
PIECE_BYTES: Final = 256 * 1024
"""How much of a big answer is in memory at once. A multiple of four, as base64 likes it."""
AMOUNT: Final = re.compile(
    r"(?P<open>\()?(?P<sign>[-+\u2212\uff0d])?"
    r"(?P<whole>[0-9]{1,13}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(?:\.(?P<part>[0-9]{1,2})0*)?"
    r"(?(open)\))"
)
"""Digits, with or without commas between thousands; a sign before it, or brackets around it for what is below zero."""


class Place:
    """Where in a file it is read just now, for what is refused there."""

    __slots__ = ("file", "line")

    def __init__(self, file: str) -> None:
        self.file, self.line = file, 0

    def refused(self, reason: str, column: int | str | None = None) -> StatementRefusedError:
        """An error to raise. `line` 0 is the file as a whole."""
        return StatementRefusedError(reason, self.file, self.line or None, column)

    def fen(self, text: str, column: int | str) -> int:
        """Whole fen, with the sign that is written. Raises StatementRefusedError for all that is no such number."""
        found = AMOUNT.fullmatch(text.strip())
        if found is None or found["part"] is not None:
            raise self.refused("is no whole number of fen", column)
        return self._signed(found, int(found["whole"].replace(",", "")), column)

    def yuan(self, text: str, column: int | str) -> int:
        """Yuan with at most two decimals, as fen: `1,234.5` is 123450, `(0.29)` is -29."""
        found = AMOUNT.fullmatch(text.strip())
        if found is None:
            raise self.refused("is no amount in yuan", column)
        whole, part = found["whole"].replace(",", ""), (found["part"] or "").ljust(2, "0")
        return self._signed(found, int(whole) * 100 + int(part), column)

    def _signed(self, found: re.Match[str], amount: int, column: int | str) -> int:
        sign = found["sign"]
        if found["open"] and sign:
            raise self.refused("has two signs", column)
        return -amount if found["open"] or (sign and sign != "+") else amount


def moment(text: str, layout: str, place: Place, column: int | str) -> datetime:
    """A time of the PSP's zone, as `strptime` reads it; with the layout `COMPACT` it is 14 digits and no fewer."""
    text = text.strip()
    try:
        if layout != COMPACT:
            return datetime.strptime(text, layout).replace(tzinfo=PSP_ZONE)
        if len(text) == 14 and text.isascii() and text.isdecimal():
            # `strptime` would take 13 digits for a second of one digit, and is slow for a million lines.
            month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
            return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=PSP_ZONE)
    except ValueError:
        pass
    raise place.refused("is no time as it should be", column)


def is_zip(path: Path) -> bool:
    """Whether it begins as a zip does."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


@contextmanager
def opened(file: StatementFile) -> Iterator[zipfile.ZipFile]:
    """A zip whose names, sizes and number of entries were looked at first. Raises StatementRefusedError."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            _check(archive, file)
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise StatementRefusedError(f"is no whole zip: {type(error).__name__}", file.name) from None


def entries(archive: zipfile.ZipFile) -> list[str]:
    """The names of its files, sorted."""
    return sorted(info.filename for info in archive.infolist() if not info.is_dir())


def _check(archive: zipfile.ZipFile, file: StatementFile) -> None:
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise StatementRefusedError(f"has more than {MAX_ENTRIES} entries", file.name)
    if len({info.filename for info in infos}) != len(infos):
        raise StatementRefusedError("has two entries of one name", file.name)
    for info in infos:
        parts = re.split(r"[/\\]", info.filename)
        if ".." in parts or info.filename.startswith(("/", "\\")) or ":" in info.filename or "\0" in info.filename:
            raise StatementRefusedError("has an entry whose name leads out of it", file.name)
        if info.flag_bits & 0x1:
            raise StatementRefusedError("is encrypted", file.name)
    size, packed = sum(info.file_size for info in infos), file.path.stat().st_size
    if size > MAX_TEXT_BYTES or size > FREE_BYTES + packed * MAX_RATIO:
        raise StatementRefusedError("would unpack to more than a statement can have", file.name)


def byte_lines(source: IO[bytes], place: Place) -> Iterator[bytes]:
    """The lines as bytes without their ends; `place.line` tells which is read. Blank lines at the end are none.

    A blank line before others, a line without an end that is too long, and UTF-16 are refused. A UTF-8 mark at the
    beginning is no part of the first line.
    """
    blank_at, limit = 0, MAX_LINE_BYTES
    place.line = 0
    while raw := source.readline(limit + 1):
        place.line += 1
        if len(raw) > limit:
            raise place.refused(f"is longer than {limit} bytes")
        if place.line == 1:
            if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in raw:
                raise place.refused("is UTF-16, or no text")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if not raw.strip():
            blank_at = blank_at or place.line
            continue
        if blank_at:
            place.line = blank_at
            raise place.refused("is blank, with lines after it")
        yield raw.rstrip(b"\r\n")


def text_lines(source: IO[bytes], place: Place, encoding: str) -> Iterator[str]:
    """The same as text; a character outside of the charset is refused."""
    for raw in byte_lines(source, place):
        try:
            line = raw.decode(encoding)
        except UnicodeDecodeError:
            raise place.refused(f"is not {encoding.upper()}") from None
        yield line


def lines_of(content: bytes, place: Place, encoding: str) -> Iterator[str]:
    """The same of what is in memory."""
    return text_lines(BytesIO(content), place, encoding)


@contextmanager
def mapped_file(path: Path) -> Iterator[mmap.mmap | bytes]:
    """A big file to look into and to cut from, without having it in memory."""
    with path.open("rb") as file:
        if not path.stat().st_size:  # which cannot be mapped
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            yield whole


def pieces_of(whole: mmap.mmap | bytes, start: int, end: int) -> Iterator[bytes]:
    """A part of it, piece by piece."""
    for at in range(start, end, PIECE_BYTES):
        yield whole[at : min(at + PIECE_BYTES, end)]


def decoded(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """What base64 text holds, piece by piece; line ends in it are passed over. Raises StatementRefusedError."""
    rest, is_over = b"", False
    for piece in pieces:
        text = rest + piece.translate(None, b"\r\n")
        whole = len(text) // 4 * 4
        text, rest = text[:whole], text[whole:]
        if text and is_over:
            raise StatementRefusedError("goes on after the end of its base64", name)
        is_over = is_over or text.endswith(b"=")
        try:
            yield a2b_base64(text, strict_mode=True) if text else b""
        except Base64Error:
            raise StatementRefusedError("is no base64", name) from None
    if rest:
        raise StatementRefusedError("ends within its base64", name)


def inflated(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """What a zlib stream holds, piece by piece. Raises StatementRefusedError: also where it ends too early."""
    stream = zlib.decompressobj()
    for piece in pieces:
        try:
            yield stream.decompress(piece, PIECE_BYTES)
            while stream.unconsumed_tail:
                yield stream.decompress(stream.unconsumed_tail, PIECE_BYTES)
        except zlib.error:
            raise StatementRefusedError("is no zlib stream", name) from None
        if stream.unused_data:
            raise StatementRefusedError("goes on after the end of its zlib stream", name)
    if not stream.eof:
        raise StatementRefusedError("ends within its zlib stream", name)


def written(pieces: Iterable[bytes], to: Path, name: str) -> StatementFile:
    """All of it as a file, which is `MAX_FILE_BYTES` at most. Raises StatementRefusedError."""
    size = 0
    with to.open("wb") as file:
        for piece in pieces:
            size += len(piece)
            if size > MAX_FILE_BYTES:
                raise StatementRefusedError(f"is above {MAX_FILE_BYTES} bytes", name)
            file.write(piece)
    return StatementFile(name, to)
