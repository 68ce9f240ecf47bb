"""Baofoo's statements (对账文件): `fileLoadRequest` brings a day's collections (fi) or payouts (fo) as a file in a zip.

Source: a third party's client and reader (M). Not public: when a day is there, and by what code Baofoo says that it is
not: its words tell, or the account (`statement_not_ready`).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from adapters.account import AccountError, base_url, setting, statement_rules
from adapters.baofoo.statement_answer import taken
from adapters.baofoo.statement_rows import FileType, Rows
from adapters.statement_files import MAX_FILE_BYTES, Place, entries, is_zip, opened, text_lines
from gateway.domain.statements import StatementLine, StatementRules
from gateway.ports import AccountSettings, Command, Pay, Payout
from gateway.ports.statements import (
    Download,
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
)

__all__ = ["BaofooStatements"]

PATH: Final = "/boas/api/fileLoadRequest"
VERSION: Final = "4.0.0.1"
CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 120.0  # no source states one: our choice for a big answer
DONE: Final = "0000"
ENCODING: Final = "utf-8"
NOT_YET: Final = re.compile("未生成|未出|未就绪|尚未|生成中|稍后|稍候|文件不存在|(?:无|没有)对账文件")
CODE: Final = r"[0-9A-Za-z_]{1,16}"
_NAMED = re.compile(r"(?<![a-z])(fi|fo)(?![a-z])")


class BaofooStatements:
    """The statements of one merchant's terminal. Settings: `client_ip`, the address that Baofoo has allowed: without it
    nothing is asked, and a person gives the files; `statement_url`, where it is another than `base_url`;
    `statement_not_ready`, codes by which Baofoo says that a day is not there yet; those of `statement_rows`. Raises
    AccountError.

    `commands`: what the account can do: without payments there is no `fi`, without payouts no `fo`.
    """

    def __init__(self, account: AccountSettings, commands: frozenset[type[Command[Any]]]) -> None:
        self._client_ip = _client_ip(account)
        self.rules = replace(statement_rules(account, StatementRules()), fetched=self._client_ip is not None)
        self._url = base_url(account, "statement_url" if "statement_url" in account.settings else "base_url") + PATH
        self._member_id = setting(account, "member_id")
        self._rows = Rows.of(account)
        has = {FileType.COLLECTED: Pay in commands, FileType.PAID_OUT: Payout in commands}
        self._wanted = [file_type for file_type, is_there in has.items() if is_there]
        told = account.settings.get("statement_not_ready", [])
        if not isinstance(told, list) or not all(re.fullmatch(CODE, str(code)) for code in told):
            raise AccountError(account, "statement_not_ready", "must be a list of resp_codes")
        self._not_ready = frozenset(map(str, told)) - {DONE}

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        """One line for each line of the files but those of terminals of other accounts. Every file that the account has
        must be there once, and its name must say `fi` or `fo`. Raises StatementRefusedError.
        """
        found: dict[FileType, _Text] = {}
        for text in (text for file in files for text in _texts_in(file)):
            if text.file_type in found:
                raise StatementRefusedError(f"is the second {text.file_type} of this day", text.name)
            found[text.file_type] = text
        for file_type in self._wanted:
            if file_type not in found:
                raise StatementRefusedError("is missing: the name of a file says which it is", str(file_type))
        for file_type in FileType:
            if file_type in found:
                yield from self._lines(found[file_type], day)

    async def fetch(self, day: date, folder: Path, download: Download, now: datetime) -> list[StatementFile]:  # noqa: ARG002
        """Ask for the files that the account has."""
        if self._client_ip is None:
            raise StatementNotReadyError("the account has no client_ip: a person gives its files")
        return [await self._fetched(file_type, day, folder, download) for file_type in self._wanted]

    async def confirm(self, day: date, download: Download, folder: Path, now: datetime) -> None:
        """Baofoo wants no word that a statement was taken."""

    async def _fetched(self, file_type: FileType, day: date, folder: Path, download: Download) -> StatementFile:
        name = f"{file_type}-{self._member_id}-{day:%Y%m%d}.zip"
        kept, arrived, place = folder / name, folder / f"{name}.answer", Place(name)
        response = await download(self._request(file_type, day), arrived, MAX_FILE_BYTES)
        if response.status_code != httpx.codes.OK:
            raise place.refused(f"HTTP {response.status_code}")
        code, message = taken(arrived, kept, place)
        with suppress(FileNotFoundError):
            arrived.unlink()
        if code != DONE:
            said = f"{file_type}: {code} {message}".strip()
            if code in self._not_ready or NOT_YET.search(message):
                raise StatementNotReadyError(said)
            raise place.refused(f"Baofoo refuses it: {said}")
        if not is_zip(kept):
            raise place.refused("is no zip")
        return StatementFile(name, kept)

    def _request(self, file_type: FileType, day: date) -> httpx.Request:
        form = {
            "version": VERSION, "member_id": self._member_id, "file_type": str(file_type),
            "client_ip": self._client_ip or "", "settle_date": day.isoformat(),
        }  # fmt: skip
        return httpx.Request(
            "POST",
            self._url,
            content=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S).as_dict()},
        )

    def _lines(self, text: "_Text", day: date) -> Iterator[StatementLine]:
        place = Place(text.name)
        if text.entry is None:
            with text.file.path.open("rb") as content:
                yield from self._rows.read(text_lines(content, place, ENCODING), text.file_type, day, place)
            return
        with opened(text.file) as archive, archive.open(text.entry) as inside:
            yield from self._rows.read(text_lines(inside, place, ENCODING), text.file_type, day, place)


@dataclass(frozen=True, slots=True)
class _Text:
    """One of the two files, in a zip or not."""

    file_type: FileType
    file: StatementFile
    entry: str | None = None

    @property
    def name(self) -> str:
        return self.file.name if self.entry is None else f"{self.file.name}/{self.entry}"


def _texts_in(file: StatementFile) -> list[_Text]:
    """Told apart by the names: a file's own, or else those of what is in it."""
    if not is_zip(file.path):
        return [_Text(_file_type(file, file.name), file)]
    with opened(file) as archive:
        names = entries(archive)
    if len(names) == 1:
        return [_Text(_file_type(file, file.name, names[0]), file, names[0])]
    if len(names) != len(FileType):
        raise StatementRefusedError(f"has {len(names)} files, and should have one or both", file.name)
    return [_Text(_file_type(file, name), file, name) for name in names]


def _file_type(file: StatementFile, *names: str) -> FileType:
    """By the first of the names that says one."""
    told = next((found for name in names if (found := set(_NAMED.findall(name.lower())))), set())
    if len(told) != 1:
        raise StatementRefusedError("must say by its name whether it is fi (collections) or fo (payouts)", file.name)
    return FileType(told.pop())


def _client_ip(account: AccountSettings) -> str | None:
    if "client_ip" not in account.settings:
        return None
    try:
        return str(ip_address(setting(account, "client_ip")))
    except ValueError as error:
        if isinstance(error, AccountError):
            raise
        raise AccountError(account, "client_ip", "must be an IP address") from None
