"""CPCN's statements as files: answers to 1811 (and 1810) as they came, their XML alone, or the text of GzipData.

An answer has a head and, in its body, TotalCount (of 1811, H) and a Tx for each transaction; 1810 may have GzipData in
their place: compressed text, a line for each, `,` between the elements in their order (H). Of all answers of a day
TotalCount is the same, and as many transactions are there. Everything is read as a stream.

What `fetch` keeps is a file of ours: a line that says which day of whom was asked for, since no answer does, and the
answers of all pages as CPCN gave them, `message,signature`, one in a line, under gzip. Any of the forms may be under
gzip, or alone in a zip.
"""

import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import IO, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from adapters.cpcn.codes import HANDLED
from adapters.cpcn.envelope import UnreadableError
from adapters.cpcn.statement_rows import COLUMNS, MORE_COLUMNS
from adapters.statement_files import PIECE_BYTES, Place, decoded, entries, is_zip, opened, text_lines
from gateway.ports.statements import StatementFile, StatementRefusedError

__all__ = ["MAX_PAGE_BYTES", "Page", "Pages", "Row", "Whose", "pages_in", "whole"]

MAX_PAGE_BYTES: Final = 32 * 1024 * 1024
"""Of one answer: 10,000 transactions are about 10 MB of base64."""
MAX_GZIP_CHARS: Final = 32 * 1024 * 1024
"""Of GzipData in base64: about two million transactions."""
MAX_RATIO: Final = 200
FREE_BYTES: Final = 64 * 1024 * 1024
"""What may be unpacked whatever the ratio."""
MAX_HEAD_CHARS: Final = 256
SECTION: Final = 2
"""How deep Head and Body stand."""

GZIP: Final = b"\x1f\x8b"
TITLE: Final = b"#1811 "
MAX_TITLE_BYTES: Final = 256
ANY_HEADER: Final = 32 + zlib.MAX_WBITS
"""Of gzip or of zlib: which of them GzipData is no source says."""
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?[0-9]{4},")
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")

Row = Mapping[str, str]
"""The elements of a transaction."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose statement it must be, and of which day."""

    institution_id: str
    day: date

    @property
    def title(self) -> bytes:
        """The first line of a file of ours."""
        return TITLE + f"{self.institution_id} {self.day:%Y%m%d}\n".encode()


class Page:
    """One answer. What it says is whole when its rows were read."""

    __slots__ = ("code", "digest", "message", "number", "rows", "total")

    def __init__(self) -> None:
        self.code: str | None = None
        self.message = ""
        self.total: int | None = None
        self.number: int | None = None
        self.rows = 0
        self.digest = b""


class Pages:
    """The pages of a day: each is read once, and their numbers must agree."""

    def __init__(self, whose: Whose) -> None:
        self._whose = whose
        self._digests: set[bytes] = set()
        self._count = 0
        self.total: int | None = None
        self.rows = 0
        self.is_titled = False
        """A file of ours said that it is of this day."""

    def entitle(self, title: bytes, place: Place) -> None:
        """Raises StatementRefusedError for the first line of another day or institution."""
        if title != self._whose.title:
            raise whole(place, "was asked for as another day's, or another institution's")
        self.is_titled = True

    def read(self, source: IO[bytes], place: Place, page: Page) -> Iterator[Row]:
        """The transactions of the next page, an XML document; `place.line` counts those of all pages. Raises
        StatementRefusedError.
        """
        digest = sha256()
        for row in _rows_of(source, place, page, self._whose):
            self.rows += 1
            page.rows += 1
            place.line = self.rows
            digest.update("\x1f".join((*row, *row.values(), "\n")).encode())
            yield row
        page.digest = digest.digest()
        self._count += 1
        if page.code == HANDLED:
            self._agree(page, place)

    def text(self, source: IO[bytes], place: Place) -> Iterator[Row]:
        """The transactions of a text that is no XML, and so states no total."""
        for row in _rows_of_text(source, place):
            self.rows += 1
            place.line = self.rows
            yield row

    def end(self, place: Place) -> None:
        """Raises StatementRefusedError where not all came that were announced."""
        if self.total is None and self.is_titled:
            raise whole(place, "has no answer that states a total", "TotalCount")
        if self.total is not None and self.total != self.rows:
            raise whole(place, f"has {self.rows} transactions, and says {self.total}", "TotalCount")

    def _agree(self, page: Page, place: Place) -> None:
        if self._count > 1 and page.total != self.total:
            raise whole(place, f"page {self._count} says another total than those before", "TotalCount")
        if page.number not in (None, self._count):
            raise whole(place, f"page {self._count} says that it is page {page.number}", "PageNO")
        if page.rows and page.digest in self._digests:
            raise whole(place, f"page {self._count} was there before")
        self._digests.add(page.digest)
        self.total = page.total


def whole(place: Place, reason: str, column: str | None = None) -> StatementRefusedError:
    """An error to raise about a file or a page as a whole."""
    return StatementRefusedError(reason, place.file, None, column)


def pages_in(
    file: StatementFile, place: Place, pages: Pages, believed: Callable[[bytes], bytes]
) -> Iterator[Iterator[Row]]:
    """The transactions of each page of a file, zipped or not. `believed` verifies an answer and gives its text.

    Raises StatementRefusedError.
    """
    if is_zip(file.path):
        with opened(file) as archive:
            names = entries(archive)
            if len(names) != 1:
                raise place.refused(f"has {len(names)} files, and should have one")
            with archive.open(names[0]) as inside:
                yield from _pages_of(inside, place, pages, believed)
    else:
        with file.path.open("rb") as content:
            yield from _pages_of(content, place, pages, believed)


def _pages_of(
    source: IO[bytes], place: Place, pages: Pages, believed: Callable[[bytes], bytes]
) -> Iterator[Iterator[Row]]:
    begins = _begins(source)
    if begins.startswith(GZIP):
        source = _inflated(_pieces(source), place)
        begins = _begins(source)
    if not begins.strip():
        raise place.refused("is empty: a day without transactions is an answer that says so")
    if _TEXT.match(begins):
        yield pages.text(source, place)
    elif _XML.match(begins):
        yield _handled(pages, source, place)
    else:
        if begins.startswith(TITLE):
            pages.entitle(source.readline(MAX_TITLE_BYTES), place)
        for answer in _answers(source, place):
            try:
                text = believed(answer)
            except UnreadableError as error:
                raise whole(place, f"is no answer of CPCN's: {error}") from None
            yield _handled(pages, io.BytesIO(text), place)


def _begins(source: IO[bytes]) -> bytes:
    return bytes(source.peek(64)[:64])  # type: ignore[attr-defined]  # files, entries of zips and what is inflated have it


def _handled(pages: Pages, source: IO[bytes], place: Place) -> Iterator[Row]:
    page = Page()
    yield from pages.read(source, place, page)
    if page.code != HANDLED:
        raise whole(place, f"is an answer with Code {page.code}")


def _answers(source: IO[bytes], place: Place) -> Iterator[bytes]:
    while line := source.readline(MAX_PAGE_BYTES + 1):
        if len(line) > MAX_PAGE_BYTES:
            raise place.refused(f"has an answer above {MAX_PAGE_BYTES} bytes")
        if line.strip():
            yield line.strip()


# One XML document


def _rows_of(source: IO[bytes], place: Place, page: Page, whose: Whose) -> Iterator[Row]:
    depth, section = 0, None
    with _refusing(place):
        for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                depth += 1
                if depth == 1 and element.tag != "Response":
                    raise place.refused("is XML or HTML, and no Response of CPCN's")
                section = element if depth == SECTION else section
                continue
            depth -= 1
            if depth != SECTION or section is None:
                continue
            if section.tag == "Head":
                _read_head(page, element)
            elif section.tag == "Body" and element.tag == "Tx":
                yield _row_of(element, place)
            elif section.tag == "Body" and element.tag == "GzipData":
                text = Place(place.file)
                yield from _rows_of_text(_inflated(_from_base64(element, text), text), text)
            elif section.tag == "Body":
                _read_body(page, element, place, whose)
            section.clear()
    if page.code is None:
        raise whole(place, "has no Code in its head")


def _row_of(element: Element, place: Place) -> Row:
    row = {child.tag: (child.text or "").strip() for child in element}
    if len(row) != len(element):
        place.line += 1
        raise place.refused("names an element twice")
    return row


def _read_head(page: Page, element: Element) -> None:
    text = (element.text or "").strip()[:MAX_HEAD_CHARS]
    if element.tag == "Code":
        page.code = text
    elif element.tag == "Message":
        page.message = text


def _read_body(page: Page, element: Element, place: Place, whose: Whose) -> None:
    text, tag = (element.text or "").strip(), element.tag
    if tag in {"TotalCount", "PageNO"}:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise whole(place, "is no number", tag)
        if tag == "PageNO":
            page.number = int(text)
        elif page.total is not None:
            raise whole(place, "is there twice", tag)
        else:
            page.total = int(text)
    elif tag == "InstitutionID" and text not in {"", whose.institution_id}:
        raise whole(place, "is another institution's", tag)
    elif tag == "Date" and text and text.replace("-", "") != f"{whose.day:%Y%m%d}":
        raise whole(place, f"is of another day than {whose.day}", tag)


@contextmanager
def _refusing(place: Place) -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        # How far it was read says little: expat keeps what it was given last until it has more.
        raise whole(place, f"is broken XML, or cut off (code {error.code})") from None
    except (DefusedXmlException, LookupError, ValueError, UnicodeError):
        raise whole(place, "is XML that is not read: a DOCTYPE, entities, or another charset") from None


# The text of GzipData


def _rows_of_text(source: IO[bytes], place: Place) -> Iterator[Row]:
    names = (*COLUMNS, *MORE_COLUMNS)
    columns = None
    for line in text_lines(source, place, "utf-8"):
        cells = [cell.strip() for cell in line.split(",")]
        columns = columns or (len(cells) if len(cells) in (len(COLUMNS), len(names)) else len(COLUMNS))
        if len(cells) != columns:
            raise place.refused(f"has {len(cells)} columns, and should have {columns}")
        yield dict(zip(names, cells, strict=False))


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    while piece := source.read(PIECE_BYTES):
        yield piece


def _from_base64(element: Element, place: Place) -> Iterator[bytes]:
    """The bytes of an element, decoded piece by piece."""
    text = "".join((element.text or "").split())
    if len(text) > MAX_GZIP_CHARS:
        raise place.refused(f"is above {MAX_GZIP_CHARS} characters", "GzipData")
    element.text = None
    pieces = (text[start : start + PIECE_BYTES].encode() for start in range(0, len(text), PIECE_BYTES))
    yield from decoded(pieces, place.file)


def _inflated(packed: Iterator[bytes], place: Place) -> IO[bytes]:
    return io.BufferedReader(_Inflated(packed, place), PIECE_BYTES)


class _Inflated(io.RawIOBase):
    """What is unpacked of pieces, as a stream. Raises StatementRefusedError."""

    def __init__(self, packed: Iterator[bytes], place: Place) -> None:
        self._packed, self._place = packed, place
        self._inflater = zlib.decompressobj(ANY_HEADER)
        self._taken = self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        into = memoryview(buffer)  # type: ignore[arg-type]  # what io gives
        while True:
            out = self._next(len(into))
            if out is None:
                return 0
            if out:
                into[: len(out)] = out
                return len(out)

    def _next(self, size: int) -> bytes | None:
        """None: the end."""
        if self._inflater.eof:
            if self._inflater.unused_data or next(self._packed, b""):
                raise self._place.refused("has more after what is compressed")
            return None
        waiting = self._inflater.unconsumed_tail or next(self._packed, b"")
        self._taken += 0 if self._inflater.unconsumed_tail else len(waiting)
        try:
            out = self._inflater.decompress(waiting, size)
        except zlib.error:
            raise self._place.refused("is not compressed as it should be") from None
        if not waiting and not out and not self._inflater.eof:
            raise self._place.refused("ends too early: it is cut off")
        self._given += len(out)
        if self._given > FREE_BYTES + self._taken * MAX_RATIO:
            raise self._place.refused("would unpack to more than a statement can have")
        return out
