"""The answer to 76/01: `k=v` text whose `fileContent` is base64(zlib(zip)) and may be as big as a file (H).

The signature covers all of it, `fileContent` included. It is looked into on disk: only the other fields, which are
small, are ever in memory as a whole.
"""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from adapters.statement_files import decoded, inflated, mapped_file, pieces_of, written
from adapters.unionpay.letter import UnbelievableError, read_text
from adapters.unionpay.seal import Seal
from gateway.ports.statements import StatementFile

__all__ = ["Told", "read_answer", "unpacked"]

CONTENT: Final = "fileContent"
MARK: Final = b"fileContent="
MAX_OTHERS_BYTES: Final = 64 * 1024
"""Of all fields but the content; certificate and signature are the longest."""


@dataclass(frozen=True, slots=True)
class Told:
    """A verified answer: its small fields, and where its content stands in the file; nowhere, where it has none."""

    fields: Mapping[str, str]
    content: tuple[int, int] | None


def read_answer(path: Path, seal: Seal) -> Told:
    """Raises UnbelievableError for what UnionPay did not sign."""
    with mapped_file(path) as whole:
        start, end = _span(whole)
        before, after = max(0, start - len(MARK)), end
        if before + len(whole) - after > MAX_OTHERS_BYTES:
            raise UnbelievableError("the answer is no answer in k=v")
        try:
            fields = read_text((whole[:before] + whole[after:]).decode("utf-8"))
        except UnicodeDecodeError:
            raise UnbelievableError("the answer is not UTF-8") from None
        if CONTENT in fields:
            raise UnbelievableError("the answer has two contents")
        seal.verify_digest(fields, _digest(fields, whole, start, end))
        return Told(fields, (start, end) if end > start else None)


def unpacked(path: Path, content: tuple[int, int], to: Path, name: str) -> StatementFile:
    """The zip that is in it, as a file. Raises StatementRefusedError."""
    with mapped_file(path) as whole:
        return written(inflated(decoded(pieces_of(whole, *content), name), name), to, name)


def _span(whole: mmap.mmap | bytes) -> tuple[int, int]:
    """From where to where the content stands; an empty span at the end where there is none."""
    if whole[: len(MARK)] == MARK:
        start = len(MARK)
    elif (found := whole.find(b"&" + MARK)) >= 0:
        start = found + 1 + len(MARK)
    else:
        return len(whole) + len(MARK), len(whole)
    end = whole.find(b"&", start)
    return start, len(whole) if end < 0 else end


def _digest(fields: Mapping[str, str], whole: mmap.mmap | bytes, start: int, end: int) -> bytes:
    """As `letter.digest`, with the content hashed where it lies."""
    signed = [name for name, value in fields.items() if name != "signature" and value]
    hashed, joint = sha256(), b""
    for name in sorted([*signed, *([CONTENT] if end > start else [])]):
        hashed.update(joint + name.encode() + b"=")
        for piece in pieces_of(whole, start, end) if name == CONTENT else (fields[name].encode(),):
            hashed.update(piece)
        joint = b"&"
    return hashed.hexdigest().encode()
