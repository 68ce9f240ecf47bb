"""Files that come as the body of a request: written to a folder piece by piece, never held in memory."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Final

from aiohttp import BodyPartReader, hdrs, web

from gateway.api.http.problems import FieldError, Problem, bad_fields, compressed, too_large, too_slow

__all__ = ["MAX_FILES", "MULTIPART", "UPLOAD_TYPES", "received"]

MULTIPART: Final = "multipart/form-data"
UPLOAD_TYPES: Final = ("application/octet-stream", "application/zip", "text/plain", "text/csv", MULTIPART)
MAX_FILES: Final = 20
MAX_FILE_NAME: Final = 200
PIECE_BYTES: Final = 256 * 1024
ARRIVES_WITHIN_S: Final = 900.0
"""All of it; half a gigabyte at 5 Mbit/s."""
PIECE_WITHIN_S: Final = 20.0
"""The next piece of it."""
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/\\]{1,200}")

Next = Callable[[], Awaitable[bytes]]


async def received(request: web.Request, folder: Path, name: str, max_bytes: int) -> list[tuple[str, Path]]:
    """The files of a body: their names and where they lie in `folder`. Without a form it is one, called `name`.

    Raises the problems 408, 413, 415 and 422.
    """
    if request.content_type not in UPLOAD_TYPES:
        raise Problem(415, "unsupported_media_type", f"Send Content-Type: {', '.join(UPLOAD_TYPES)}.")
    if hdrs.CONTENT_ENCODING in request.headers:
        raise compressed()
    if (request.content_length or 0) > max_bytes:
        raise too_large(max_bytes)
    room = _Room(max_bytes)
    try:
        async with asyncio.timeout(ARRIVES_WITHIN_S):
            if request.content_type == MULTIPART:
                return await _of_form(request, folder, room)
            to = folder / "1"
            await room.take(lambda: request.content.read(PIECE_BYTES), to)
            return [(file_name(name), to)]
    except TimeoutError:
        raise too_slow(ARRIVES_WITHIN_S) from None


def file_name(name: str) -> str:
    """What people know a file by. Raises a 422 problem."""
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        why = f"must be a file's name of 1 to {MAX_FILE_NAME} characters, without / and \\"
        raise bad_fields([FieldError("filename", "wrong_format", why)])
    return name


class _Room:
    """What is left of the bytes that all files may have together."""

    def __init__(self, max_bytes: int) -> None:
        self._left = self._max = max_bytes

    async def take(self, read: Next, to: Path) -> None:
        target = await asyncio.to_thread(to.open, "wb")
        try:
            async for piece in self._pieces(read):
                await asyncio.to_thread(_write, target, piece)
        finally:
            await asyncio.to_thread(target.close)

    async def _pieces(self, read: Next) -> AsyncIterator[bytes]:
        while True:
            async with asyncio.timeout(PIECE_WITHIN_S):
                piece = await read()
            if not piece:
                return
            self._left -= len(piece)
            if self._left < 0:
                raise too_large(self._max)
            yield piece


async def _of_form(request: web.Request, folder: Path, room: _Room) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.filename is None:
                raise bad_fields([FieldError("body", "unknown_field", "may have files alone, each with its filename")])
            if len(found) >= MAX_FILES:
                raise bad_fields([FieldError("body", "too_many", f"may have at most {MAX_FILES} files")])
            to = folder / str(len(found) + 1)
            await room.take(_reading(part), to)
            found.append((file_name(part.filename), to))
    except (ValueError, AssertionError):
        raise Problem(400, "bad_request", "The form is cut off or badly written.") from None
    if not found:
        raise bad_fields([FieldError("body", "missing", "must have a file")])
    return found


def _reading(part: BodyPartReader) -> Next:
    async def read() -> bytes:
        while not part.at_eof():  # a piece may be empty before the end
            if piece := await part.read_chunk(PIECE_BYTES):
                return bytes(piece)
        return b""

    return read


def _write(target: BinaryIO, piece: bytes) -> None:
    target.write(piece)
