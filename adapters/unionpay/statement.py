"""UnionPay's statements of one account: asking for them (76/01) and reading them.

Source: UnionPay's own Java demo (H). The file of a day is asked for at an address of its own and comes in the answer;
98 says that there is none (H), which is told of a day that is not ready too. The day of clearing ends at 23:00 (M).
Taking a file needs no confirmation.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import httpx

from adapters.account import base_url, statement_rules
from adapters.statement_files import MAX_FILE_BYTES
from adapters.unionpay.codes import SUCCESSES
from adapters.unionpay.forms import Forms
from adapters.unionpay.letter import UnbelievableError
from adapters.unionpay.seal import Seal
from adapters.unionpay.statement_answer import Told, read_answer, unpacked
from adapters.unionpay.statement_reader import read_statement
from gateway.domain.statements import StatementLine, StatementRules
from gateway.ports import AccountSettings
from gateway.ports.statements import Download, StatementFile, StatementNotReadyError, StatementRefusedError

__all__ = ["RULES", "UnionPayStatements"]

RULES: Final = StatementRules(day_cut=time(23))
ANSWER_TIMEOUT_S: Final = 120.0
CONNECT_TIMEOUT_S: Final = 5.0
LATER: Final = frozenset({"02", "39", "41", "98"})
"""System closed; out of its hours; not ready; no file (H)."""
FILE_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,99}")
MAX_MESSAGE_CHARS: Final = 100


class UnionPayStatements:
    """A `gateway.ports.statements.Statements`.

    Settings: `statement_url`, UnionPay's address for files, which is not `base_url`; without it a person gives the
    files. Optional `day_cut`, `statement_ready_at`. Raises AccountError.
    """

    def __init__(self, account: AccountSettings, mer_id: str, seal: Seal, forms: Forms) -> None:
        self._url = base_url(account, "statement_url") if "statement_url" in account.settings else None
        self.rules = replace(statement_rules(account, RULES), fetched=self._url is not None)
        self._mer_id, self._seal, self._forms = mer_id, seal, forms

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        """The lines of a day of clearing. Raises StatementRefusedError."""
        return read_statement(files, day, self._mer_id)

    async def fetch(self, day: date, folder: Path, download: Download, now: datetime) -> list[StatementFile]:
        """The zip of a day of clearing. Raises StatementNotReadyError, StatementRefusedError, TransportError."""
        if self._url is None:
            raise StatementNotReadyError("the account has no statement_url: a person gives its files")
        name, answer = f"{self._mer_id}_{day:%Y%m%d}.zip", folder / "unionpay.answer"
        request = httpx.Request(
            "POST",
            self._url,
            content=urlencode(self._seal.signed(self._forms.statement(day, now))).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S).as_dict()},
        )
        try:
            response = await download(request, answer, MAX_FILE_BYTES)
            if response.status_code != httpx.codes.OK:
                raise StatementRefusedError(f"HTTP {response.status_code}", name)
            told = self._believed(answer, day, name)
            assert told.content is not None
            said = told.fields.get("fileName", "")
            return [unpacked(answer, told.content, folder / name, said if FILE_NAME.fullmatch(said) else name)]
        finally:
            answer.unlink(missing_ok=True)

    async def confirm(self, day: date, download: Download, folder: Path, now: datetime) -> None:
        """Nothing: UnionPay does not ask for it."""

    def _believed(self, answer: Path, day: date, name: str) -> Told:
        try:
            told = read_answer(answer, self._seal)
        except UnbelievableError as error:
            raise StatementRefusedError(str(error), name) from None
        fields = told.fields
        code, asked = fields.get("respCode", ""), f"{day:%m%d}"
        if fields.get("merId") != self._mer_id or fields.get("settleDate", asked) != asked:
            raise StatementRefusedError("the answer is about another merchant or day", name)
        if code in LATER:
            raise StatementNotReadyError(f"{code} {fields.get('respMsg', '')[:MAX_MESSAGE_CHARS]}".rstrip())
        if code not in SUCCESSES or told.content is None:
            raise StatementRefusedError(f"the answer is {code[:8]!r}, without a file", name)
        return told
