"""The answer to 200002: signed GBK XML whose CONTENT is base64(zip) and may be as big as a file (the demo: H).

It is looked into on disk: only what stands around CONTENT, which is small, is ever in memory as a whole.
"""

import mmap
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.allinpay.envelope import MAX_ANSWER_BYTES, UnreadableError, read_envelope
from adapters.signing import SHA1, rsa_verify_pieces
from adapters.statement_files import decoded, mapped_file, pieces_of, written
from gateway.ports.statements import StatementFile

__all__ = ["read_answer", "unpacked"]

Span = tuple[int, int]
SIGNED: Final = (b"<SIGNED_MSG>", b"</SIGNED_MSG>")
CONTENT: Final = (b"<CONTENT>", b"</CONTENT>")
MAX_SIGNATURE_CHARS: Final = 2048


def read_answer(path: Path, key: rsa.RSAPublicKey, req_sn: str) -> tuple[Element, Span | None]:
    """The verified answer without its content, and where that stands in the file; None: it has none.

    Raises UnreadableError.
    """
    with mapped_file(path) as whole:
        signature, content = _span(whole, SIGNED), _span(whole, CONTENT)
        if signature is None or signature[1] - signature[0] > MAX_SIGNATURE_CHARS:
            raise UnreadableError("not one signature")
        before, after = signature[0] - len(SIGNED[0]), signature[1] + len(SIGNED[1])
        try:
            signed_with = bytes.fromhex(whole[slice(*signature)].decode("ascii"))
        except ValueError:
            raise UnreadableError("not one signature") from None
        signed = chain(pieces_of(whole, 0, before), pieces_of(whole, after, len(whole)))
        if not rsa_verify_pieces(key, signed_with, signed, SHA1):
            raise UnreadableError("the signature is wrong")
        cut = sorted([(before, after), *([content] if content else [])])
        if len(whole) - sum(end - start for start, end in cut) > MAX_ANSWER_BYTES:
            raise UnreadableError("too much beside its content")
        root = read_envelope(b"".join(_without(whole, cut)), req_sn)
    if len(list(root.iter("CONTENT"))) != (content is not None):
        raise UnreadableError("not one content")
    return root, content if content and content[1] > content[0] else None


def unpacked(path: Path, content: Span, to: Path, name: str) -> StatementFile:
    """The zip that is in it, as a file. Raises StatementRefusedError."""
    with mapped_file(path) as whole:
        return written(decoded(pieces_of(whole, *content), name), to, name)


def _span(whole: mmap.mmap | bytes, tags: tuple[bytes, bytes]) -> Span | None:
    """What stands between two tags that are there once. Raises UnreadableError where they are there otherwise."""
    opening, closing = tags
    start = whole.find(opening)
    if start < 0:
        return None
    start += len(opening)
    end = whole.find(closing, start)
    if end < 0 or whole.find(opening, start) >= 0 or whole.find(closing, end + 1) >= 0:
        raise UnreadableError(f"not one {opening[1:-1].decode()}")
    return start, end


def _without(whole: mmap.mmap | bytes, cut: list[Span]) -> Iterator[bytes]:
    at = 0
    for start, end in cut:
        yield whole[at:start]
        at = end
    yield whole[at:]
