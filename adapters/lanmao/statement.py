"""Statements of a custody bank: DOWNLOAD_CHECKFILE brings a zip, and CONFIRM_CHECKFILE says that it was taken.

Three clients agree on both services and on the files' names (H); columns: `statement_files` (M). The platform must
confirm each day; saying it twice is answered 100008 and is fine (M). When the bank has no file it answers with JSON;
its codes are not public, so each such answer that it signed means: not yet.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.lanmao.codes import CALLED
from adapters.lanmao.letter import MAX_TEXT_BYTES, UnreadableError, opened, texts_of
from adapters.lanmao.statement_files import FILE_TYPES, file_types, read_recharges
from adapters.statement_files import MAX_FILE_BYTES, entries, is_zip
from adapters.statement_files import opened as opened_zip
from gateway.domain.statements import StatementLine, StatementRules
from gateway.ports.statements import Download, StatementFile, StatementNotReadyError, StatementRefusedError

__all__ = ["LanmaoStatements"]

BEIJING: Final = timezone(timedelta(hours=8))
CONNECT_TIMEOUT_S: Final = 5.0
FILE_TIMEOUT_S: Final = 300.0
"""A file of a day takes longer than an order."""
ANSWER_TIMEOUT_S: Final = 30.0
CONFIRMED_BEFORE: Final = "100008"
MAX_SAID_CHARS: Final = 200

Form = Callable[[str, Mapping[str, object]], dict[str, str]]
"""The signed form of a service."""


class LanmaoStatements:
    """The check files of one platform. Its day ends at midnight."""

    def __init__(
        self, base: str, platform_no: str, form: Form, psp_key: rsa.RSAPublicKey, rules: StatementRules
    ) -> None:
        self._base, self._platform_no, self._form, self._psp_key = base, platform_no, form, psp_key
        self.rules = rules

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        """The recharges of a day: the zip, or what was in it. Raises StatementRefusedError."""
        return read_recharges(files, self._platform_no, day, self.rules.day_cut)

    async def fetch(self, day: date, folder: Path, download: Download, now: datetime) -> list[StatementFile]:
        """DOWNLOAD_CHECKFILE. The zip itself is not signed: it is believed for the connection that brought it."""
        fields = {"requestNo": _request_no("D", day, now), "fileDate": f"{day:%Y%m%d}", "timestamp": _time(now)}
        file = self._file(day, folder)
        request = self._request("/download", "DOWNLOAD_CHECKFILE", fields, FILE_TIMEOUT_S)
        response = await download(request, file.path, MAX_FILE_BYTES)
        if response.status_code != httpx.codes.OK:
            raise StatementRefusedError(f"came with HTTP {response.status_code}", file.name)
        if not is_zip(file.path):
            said = texts_of(self._said(response, file))
            raise StatementNotReadyError(f"the bank has no file of {day}: {_reason(said)}")
        return [file]

    async def confirm(self, day: date, download: Download, folder: Path, now: datetime) -> None:
        """CONFIRM_CHECKFILE, for each type of file that came."""
        detail = [{"fileType": each} for each in self._types(day, folder)]
        fields = {
            "requestNo": _request_no("C", day, now),
            "fileDate": f"{day:%Y%m%d}",
            "detail": detail,
            "timestamp": _time(now),
        }
        answer = StatementFile("the answer to CONFIRM_CHECKFILE", folder / f"{day:%Y%m%d}_confirmed.json")
        request = self._request("/service", "CONFIRM_CHECKFILE", fields, ANSWER_TIMEOUT_S)
        response = await download(request, answer.path, MAX_TEXT_BYTES)
        if response.status_code != httpx.codes.OK:
            raise StatementRefusedError(f"came with HTTP {response.status_code}", answer.name)
        said = texts_of(self._said(response, answer))
        if said.get("code") != CALLED and said.get("errorCode") != CONFIRMED_BEFORE:
            raise StatementNotReadyError(f"the bank does not take that {day} is confirmed: {_reason(said)}")

    def _file(self, day: date, folder: Path) -> StatementFile:
        name = f"{day:%Y%m%d}_{self._platform_no}.zip"
        return StatementFile(name, folder / name)

    def _types(self, day: date, folder: Path) -> list[str]:
        """Of the file that was fetched; where a person gave it, all that the bank makes."""
        file = self._file(day, folder)
        if not file.path.exists() or not is_zip(file.path):
            return list(FILE_TYPES)
        with opened_zip(file) as archive:
            there = file_types(entries(archive), self._platform_no, day, file.name)
        return [each for each in FILE_TYPES if each in there]

    def _request(self, path: str, service: str, fields: Mapping[str, object], answer_timeout_s: float) -> httpx.Request:
        timeout = httpx.Timeout(answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        form = self._form(service, fields)
        return httpx.Request("POST", f"{self._base}{path}", data=form, extensions={"timeout": timeout.as_dict()})

    def _said(self, response: httpx.Response, file: StatementFile) -> Mapping[str, Any]:
        """The JSON that the bank signed. Raises StatementRefusedError."""
        if file.path.stat().st_size > MAX_TEXT_BYTES:
            raise StatementRefusedError("is neither a zip nor an answer", file.name)
        try:
            return opened(file.path.read_bytes(), response.headers.get("sign", ""), self._psp_key)
        except UnreadableError as error:
            raise StatementRefusedError(f"is neither a zip nor an answer of the bank: {error}", file.name) from None


def _reason(said: Mapping[str, str]) -> str:
    words = f"{said.get('errorCode', '')} {said.get('errorMessage', '')}".strip()
    return words[:MAX_SAID_CHARS] or "without a reason"


def _request_no(letter: str, day: date, now: datetime) -> str:
    """A number for each asking: another one each second, of no order."""
    return f"CHECK{letter}{day:%Y%m%d}{_time(now)}"


def _time(moment: datetime) -> str:
    return moment.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
