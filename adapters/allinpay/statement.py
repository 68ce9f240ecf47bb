"""Allinpay's statements of one account: asking for them and reading them.

Two requests bring the same text. 200002 (the demo: H) asks for all transactions that were finished in a span of time,
which is a day by the account's day cut, and answers with a signed zip. The simple one, `GetConFile.do` (H), asks for a
day of settlement by a signed address, and answers with the text itself: nothing but TLS says whose word that is. The
day ends at 23:50 in one merchant's contract (M). Taking a file needs no confirmation.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final, Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.account import AccountError, setting, statement_rules
from adapters.allinpay.bodies import BEIJING
from adapters.allinpay.codes import IN_PROCESS, NOTHING_FOUND, OK
from adapters.allinpay.envelope import UnreadableError, node, said
from adapters.allinpay.statement_answer import read_answer, unpacked
from adapters.allinpay.statement_reader import Layout, read_statement
from adapters.signing import SHA1, rsa_sign
from adapters.statement_files import MAX_FILE_BYTES
from gateway.domain.statements import StatementLine, StatementRules, ends_at
from gateway.ports import AccountSettings
from gateway.ports.statements import Download, StatementFile, StatementNotReadyError, StatementRefusedError

__all__ = ["RULES", "AllinpayStatements"]

TRX_CODE: Final = "200002"
RULES: Final = StatementRules(day_cut=time(23, 50))
ANSWER_TIMEOUT_S: Final = 120.0
CONNECT_TIMEOUT_S: Final = 5.0
WAYS: Final = ("query", "file")
VERSIONS: Final = ("03", "04", "05")
WITH_CODES: Final = "05"
HEAD: Final = b"PDSMK "
SERVLET, SIMPLE = "ProcessServlet", "GetConFile.do"


class Sealing(Protocol):
    """How a request of the adapter is written and signed."""

    def __call__(self, trx_code: str, req_sn: str, body: str, version: str | None = None) -> bytes: ...


class AllinpayStatements:
    """A `gateway.ports.statements.Statements`.

    Settings, all optional: `statement_by`, `query` (200002) or `file` (GetConFile.do beside the ProcessServlet);
    `statement_version`, that of 200002: with 05 a line has two fields more; `statement_fees`, whether a line has its
    fee; `day_cut`, `statement_ready_at`. Raises AccountError.
    """

    def __init__(
        self,
        account: AccountSettings,
        url: httpx.URL,
        merchant_id: str,
        sealed: Sealing,
        merchant_key: rsa.RSAPrivateKey,
        psp_key: rsa.RSAPublicKey,
    ) -> None:
        self.rules = statement_rules(account, RULES)
        self._url, self._merchant_id, self._sealed = url, merchant_id, sealed
        self._merchant_key, self._psp_key = merchant_key, psp_key
        self._by_file = _one_of(account, "statement_by", WAYS) == "file"
        self._version = _one_of(account, "statement_version", VERSIONS)
        self._has_fees = account.settings.get("statement_fees", True)
        if not isinstance(self._has_fees, bool):
            raise AccountError(account, "statement_fees", "must be true or false")
        if self._by_file and SERVLET not in url.path:
            raise AccountError(account, "url", f"must end in {SERVLET} where statement_by is file")
        self._layout = Layout(merchant_id, self.rules.day_cut, self._has_fees, self._version == WITH_CODES)

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        """The lines of a day. Raises StatementRefusedError."""
        return read_statement(files, day, self._layout)

    async def fetch(self, day: date, folder: Path, download: Download, now: datetime) -> list[StatementFile]:
        """The file of a day. Raises StatementNotReadyError, StatementRefusedError, TransportError."""
        if self._by_file:
            return [await self._by_address(day, folder, download, now)]
        return [await self._by_query(day, folder, download, now)]

    async def confirm(self, day: date, download: Download, folder: Path, now: datetime) -> None:
        """Nothing: Allinpay does not ask for it."""

    async def _by_query(self, day: date, folder: Path, download: Download, now: datetime) -> StatementFile:
        req_sn = f"ST{day:%Y%m%d}{now.astimezone(BEIJING):%Y%m%d%H%M%S%f}"
        begins, ends = ends_at(day - timedelta(days=1), self.rules.day_cut), ends_at(day, self.rules.day_cut)
        body = node(
            "QTRANSREQ",
            MERCHANT_ID=self._merchant_id,
            STATUS="2",
            TYPE="0",
            CONTFEE="1" if self._has_fees else "0",
            START_DAY=f"{begins:%Y%m%d%H%M%S}",
            END_DAY=f"{ends - timedelta(seconds=1):%Y%m%d%H%M%S}",
        )
        request = httpx.Request(
            "POST",
            self._url.copy_merge_params({"MERCHANT_ID": self._merchant_id, "REQ_SN": req_sn}),
            headers={"Content-Type": "text/xml; charset=GBK"},
            content=self._sealed(TRX_CODE, req_sn, body, self._version),
            extensions=_patience(),
        )
        answer, name = folder / "allinpay.answer", f"PDS{self._merchant_id}{day:%Y%m%d}.zip"
        try:
            await _downloaded(download, request, answer, name)
            try:
                root, content = read_answer(answer, self._psp_key, req_sn)
            except UnreadableError as error:
                raise StatementRefusedError(str(error), name) from None
            code, message = said(root, "INFO")
            if code in IN_PROCESS or code == NOTHING_FOUND:
                # An empty day has a file, too: 1002 may be a day that is not ready, and must not be a day of shorts.
                raise StatementNotReadyError(f"{code} {message or ''}".rstrip())
            if code != OK or content is None:
                raise StatementRefusedError(f"the answer is {code!r}, without a file", name)
            return unpacked(answer, content, folder / name, name)
        finally:
            answer.unlink(missing_ok=True)

    async def _by_address(self, day: date, folder: Path, download: Download, now: datetime) -> StatementFile:
        settled, asked_at = f"{day:%Y%m%d}", f"{now.astimezone(BEIJING):%Y%m%d%H%M%S}"
        text = f"{settled}|{asked_at}|{self._merchant_id}".encode("ascii")
        signature = rsa_sign(self._merchant_key, text, SHA1).hex()
        asked = {"SETTDAY": settled, "REQTIME": asked_at, "MERID": self._merchant_id, "SIGN": signature}
        url = self._url.copy_with(path=self._url.path.replace(SERVLET, SIMPLE))
        fees = {"CONTFEE": "1"} if self._has_fees else {}
        request = httpx.Request("GET", url.copy_merge_params(asked | fees), extensions=_patience())
        name = f"PDS{self._merchant_id}{settled}.txt"
        await _downloaded(download, request, folder / name, name)
        begins = _begins(folder / name)
        if not begins:
            raise StatementNotReadyError("an empty answer")
        if begins != HEAD:
            raise StatementRefusedError("the answer is no statement", name)
        return StatementFile(name, folder / name)


async def _downloaded(download: Download, request: httpx.Request, to: Path, name: str) -> None:
    response = await download(request, to, MAX_FILE_BYTES)
    if response.status_code != httpx.codes.OK:
        raise StatementRefusedError(f"HTTP {response.status_code}", name)


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(HEAD))


def _patience() -> dict[str, object]:
    return {"timeout": httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S).as_dict()}


def _one_of(account: AccountSettings, name: str, known: Sequence[str]) -> str:
    value = setting(account, name, known[0])
    if value not in known:
        raise AccountError(account, name, f"must be one of {', '.join(known)}")
    return value
