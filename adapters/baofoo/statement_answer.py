"""The answer that brings a file, `resp_code=0000&resp_msg=..&resp_body=<base64 of a zip>` (M): to disk, by pieces.

Nobody signs it; it is believed on the connection that it came on. Its text may have escapes or not.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote_plus, unquote_to_bytes

from adapters.statement_files import PIECE_BYTES, Place, decoded

__all__ = ["taken"]

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of all but the file."""
MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256
BODY: Final = b"resp_body="
BLANKS: Final = b" \t\r\n"


def taken(arrived: Path, to: Path, place: Place) -> tuple[str, str]:
    """resp_code and resp_msg; the file is written to `to`, empty where the answer has none.

    Raises StatementRefusedError for what is no answer of Baofoo's.
    """
    to.write_bytes(b"")
    if not arrived.stat().st_size:
        raise place.refused("is an empty answer")
    with arrived.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as answer:
        starts, ends = _body_in(answer)
        if starts + len(answer) - ends > MAX_HEAD_BYTES:
            raise place.refused("is no answer of Baofoo's")
        told = _fields(answer[:starts].removesuffix(BODY) + b"&" + answer[ends:], place)
        if starts < ends:
            with to.open("wb") as content:
                for piece in decoded(_unescaped(answer, starts, ends), place.file):
                    content.write(piece)
    return told["resp_code"][:MAX_CODE_CHARS], told.get("resp_msg", "")[:MAX_MESSAGE_CHARS]


def _body_in(answer: mmap.mmap) -> tuple[int, int]:
    """Where the file begins and ends; at the end of the answer where there is none."""
    found = 0 if answer[: len(BODY)] == BODY else answer.find(b"&" + BODY) + 1
    if not found and answer[: len(BODY)] != BODY:
        return len(answer), len(answer)
    starts = found + len(BODY)
    ends = answer.find(b"&", starts)
    return starts, len(answer) if ends < 0 else ends


def _fields(text: bytes, place: Place) -> dict[str, str]:
    try:
        pairs = [piece.partition("=") for piece in text.decode("utf-8").strip().split("&") if piece]
        told = {name.strip(): unquote_plus(value, errors="strict") for name, _, value in pairs}
    except UnicodeDecodeError:
        raise place.refused("is an answer that is not UTF-8") from None
    if len(told) != len(pairs) or not all(equals for _, equals, _ in pairs) or not told.get("resp_code"):
        raise place.refused("is no answer of Baofoo's")
    return told


def _unescaped(answer: mmap.mmap, starts: int, ends: int) -> Iterator[bytes]:
    """Base64 without blanks and without escapes, of which one may lie across two pieces."""
    held = b""
    for start in range(starts, ends, PIECE_BYTES):
        piece = held + answer[start : min(start + PIECE_BYTES, ends)]
        escape = piece.rfind(b"%")
        held = piece[escape:] if escape >= len(piece) - 2 and escape >= 0 else b""
        yield unquote_to_bytes(piece.removesuffix(held) if held else piece).translate(None, BLANKS)
    yield held
